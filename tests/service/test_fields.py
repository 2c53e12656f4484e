"""Numbers drawn here, read over HTTP and by the reader."""

import base64
import math

import numpy as np
import pytest
from PIL import Image, ImageDraw
from starlette.testclient import TestClient

from service.decisions import Decision, Reason
from service.fields import FieldReading
from service.paths import Constraints
from service.reader import Reader, Reading
from service.schemas import FieldBatchPrediction, FieldPrediction
from tests import pictures
from tests.service.test_predict import problem


def row(digits: list[int], *, apart: int = 70, size: int = 100, cells: bool = False) -> Image.Image:
    """Digits in a row, `apart` pixels from one to the next, in printed cells where asked for."""
    image = Image.new("L", (apart * len(digits) + 40, size), 250)
    for index, digit in enumerate(digits):
        glyph = pictures.draw(digit, size - 20)
        left = 20 + index * apart + (apart - glyph.width) // 2
        box = (left, 10)
        image.paste(
            Image.fromarray(np.minimum(np.asarray(image.crop((*box, left + size - 20, size - 10))), glyph)), box
        )
    if cells:
        draw = ImageDraw.Draw(image)
        for index in range(len(digits)):
            draw.rectangle((20 + index * apart, 6, 20 + (index + 1) * apart, size - 6), outline=60, width=2)
    return image


def read(reader: Reader, image: Image.Image, constraints: Constraints = Constraints()) -> FieldReading:  # noqa: B008
    result = reader.read_field(pictures.encode(image), constraints)
    assert isinstance(result, FieldReading)
    return result


@pytest.mark.parametrize("cells", [False, True])
@pytest.mark.parametrize("digits", [[3, 5, 7], [9, 0, 2, 1, 8], [4, 6, 2, 3, 0, 7, 5, 8, 0, 9]])
def test_numbers_are_read_free_and_in_cells(reader: Reader, digits: list[int], cells: bool) -> None:
    result = read(reader, row(digits, cells=cells))
    assert result.text == "".join(map(str, digits))
    assert [digit.digit for digit in result.digits] == digits
    assert result.weakest in range(len(digits))


def test_boxes_are_in_pixels_of_the_upload_whatever_its_size(reader: Reader) -> None:
    small = row([3, 5, 7])
    large = small.resize((small.width * 5, small.height * 5), Image.Resampling.BICUBIC)
    for digit, again in zip(read(reader, small).digits, read(reader, large).digits, strict=True):
        np.testing.assert_allclose(np.array(digit.box) * 5, again.box, atol=15)
    [first, *_] = read(reader, small).digits
    assert 20 <= first.box[0] < first.box[2] <= 90


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size", [(60, 100), (1499, 2503)])
def test_boxes_are_in_pixels_of_pictures_that_are_reduced_when_they_are_decoded(
    reader: Reader, size: tuple[int, int], orientation: int, kind: str
) -> None:
    """One digit alone and a row of them; 6 is a picture that lies on its left side."""
    image = Image.new("L", size, 250)
    left, right = 0.3 * size[0], 0.7 * size[0]
    top, bottom = 0.4 * size[1], 0.7 * size[1]
    ImageDraw.Draw(image).line([(left, top), (right, top), ((left + right) / 2, bottom)], fill=20, width=size[0] // 15)
    lying = image if orientation == 1 else image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = reader.read_field(pictures.encode(lying, kind, exif=exif))
    assert isinstance(result, FieldReading)
    [digit] = result.digits
    assert digit.digit == 7
    np.testing.assert_allclose(digit.box, (left, top, right, bottom), atol=0.07 * size[0])


def test_of_a_large_row_each_box_is_where_its_digit_is(reader: Reader) -> None:
    small = row([3, 5, 7])
    factor = -(-1500 // small.height)
    large = small.resize((small.width * factor, small.height * factor), Image.Resampling.BICUBIC)
    results = read(reader, small), read(reader, large)
    assert [result.text for result in results] == ["357", "357"]
    for digit, again in zip(results[0].digits, results[1].digits, strict=True):
        np.testing.assert_allclose(np.array(digit.box) * factor, again.box, atol=4 * factor)


def test_no_alternative_is_surer_than_the_answer(client: TestClient) -> None:
    answer = client.post("/predict/field?length=1", content=pictures.encode(row([3, 5, 7]))).json()
    assert answer["alternatives"]
    assert all(other["confidence"] <= answer["confidence"] for other in answer["alternatives"])


def test_separators_are_skipped_and_named(reader: Reader) -> None:
    image = row([3, 5, 7, 2], apart=80)
    draw = ImageDraw.Draw(image)
    draw.ellipse((95, 80, 103, 88), fill=30)
    draw.line((332, 50, 355, 50), fill=30, width=6)
    image = Image.fromarray(np.pad(np.asarray(image), ((0, 0), (0, 40)), constant_values=250))
    ImageDraw.Draw(image).line((345, 50, 375, 50), fill=30, width=6)
    result = read(reader, image)
    assert result.text == "3572"
    assert [separator.kind for separator in result.separators] == ["point", "dash"]


def draw_star(image: Image.Image, at: tuple[int, int], size: float, strokes: int, pen: int, turn: float) -> None:
    """Strokes through one middle."""
    for stroke in range(strokes):
        angle = turn + math.pi * stroke / strokes
        x, y = size / 2 * math.cos(angle), size / 2 * math.sin(angle)
        ImageDraw.Draw(image).line((at[0] - x, at[1] - y, at[0] + x, at[1] + y), fill=30, width=pen)


def filled_up(digits: list[int], before: int, after: int, size: float, strokes: int, *, turn: float) -> Image.Image:
    """An amount with stars before and after it, drawn large and scaled down."""
    amount = row(digits, size=100)
    image = Image.new("L", (amount.width + 60 * (before + after), 100), 250)
    image.paste(amount, (60 * before, 0))
    image = image.resize((4 * image.width, 400), Image.Resampling.BICUBIC)
    left, right = 60 * before, 60 * before + amount.width
    middles = [30 + 60 * star for star in range(before)] + [right + 30 + 60 * star for star in range(after)]
    for star, x in enumerate(middles):
        draw_star(image, (4 * x, 200), 4 * size, strokes, 20, turn + star)
    comma = 4 * (left + 20 + 70 * (len(digits) - 2))
    ImageDraw.Draw(image).line((comma, 310, comma - 20, 352), fill=30, width=24)
    return image.resize((image.width // 4, 100), Image.Resampling.BOX)


def test_stars_that_fill_up_an_amount_are_skipped_and_named(reader: Reader) -> None:
    """`***235,47**` is 23547 and needs no review for its stars, of three strokes or four, small or as tall as digits."""
    right = 0
    cases = [(size, strokes, turn) for size in (28, 40, 52) for strokes in (3, 4) for turn in (0.2, 1.1)]
    for size, strokes, turn in cases:
        result = read(reader, filled_up([2, 3, 5, 4, 7], 3, 2, size, strokes, turn=turn))
        kinds = [separator.kind for separator in result.separators]
        right += result.text == "23547" and kinds.count("star") == 5 and {*kinds} <= {"star", "comma"}
        assert "not_a_digit" not in result.reasons
    assert right >= 0.9 * len(cases)


def test_stars_have_boxes_in_pixels_of_the_upload(reader: Reader) -> None:
    first, *_, last = read(reader, filled_up([2, 3, 5], 2, 1, 44, 4, turn=0.2)).separators
    np.testing.assert_allclose(first.box, (8, 28, 52, 72), atol=4)
    assert (first.kind, last.kind) == ("star", "star")
    assert last.box[0] > 300


def test_stars_are_skipped_in_cells_too(reader: Reader) -> None:
    image = row([0, 3, 5, 7], cells=True)
    glyph = Image.new("L", (60, 78), 250)
    draw_star(glyph, (30, 39), 36, 4, 5, 0.2)
    image.paste(glyph, (25, 11))
    result = read(reader, image)
    assert result.text == "357"
    assert [separator.kind for separator in result.separators] == ["star"]
    assert result.decision == "review", "a digit that was struck out looks like a star"


def test_a_single_star_as_tall_as_digits_may_be_one_and_is_not_taken_away(reader: Reader) -> None:
    result = read(reader, filled_up([2, 3, 5], 1, 0, 60, 3, turn=0.2))
    assert result.text.endswith("235")
    assert "star" not in [separator.kind for separator in result.separators]


def test_stars_alone_are_no_accepted_number(reader: Reader) -> None:
    image = Image.new("L", (300, 80), 250)
    for x in (40, 110, 180, 250):
        draw_star(image, (x, 40), 44, 3, 5, 0.3)
    assert read(reader, image).decision != "accept"


def test_a_comma_and_a_mark_before_the_number_are_named(reader: Reader) -> None:
    """What stands there as tall as digits is taken for that of a currency."""
    image = Image.fromarray(np.pad(np.asarray(row([3, 5, 7, 2], apart=80)), ((0, 0), (80, 0)), constant_values=250))
    draw = ImageDraw.Draw(image)
    for x in (28, 48):
        draw.line((x + 4, 16, x - 4, 84), fill=30, width=5)
    for y in (38, 60):
        draw.line((12, y, 64, y), fill=30, width=5)
    draw.line((260, 76, 254, 92), fill=30, width=6)
    result = read(reader, image)
    assert result.text == "3572"
    assert [separator.kind for separator in result.separators] == ["currency", "comma"]


def test_a_single_digit_is_read_as_predict_reads_it(client: TestClient) -> None:
    for digit in range(10):
        for data in (pictures.png(digit), pictures.png(digit, size=28), pictures.png(digit, size=700, ink=90)):
            alone = client.post("/predict", content=data).json()
            field = client.post("/predict/field", content=data).json()
            assert (field["text"], field["confidence"]) == (str(alone["digit"]), alone["confidence"])
            assert (field["decision"], field["reasons"]) == (alone["decision"], alone["reasons"])
            assert field["digits"][0]["probabilities"] == alone["probabilities"]


def test_a_single_digit_keeps_the_promise_of_digits_and_a_number_that_of_numbers(client: TestClient) -> None:
    for target in (0.01, 0.005, 0.001):
        for digit in range(10):
            data = pictures.png(digit, size=90)
            alone = client.post(f"/predict?target_error={target}", content=data).json()
            field = client.post(f"/predict/field?target_error={target}", content=data).json()
            assert (field["decision"], field["reasons"]) == (alone["decision"], alone["reasons"])
    described = client.get("/model").json()["fields"]["calibration"]["thresholds"]["0.01"]
    number = client.post("/predict/field?target_error=0.01", content=pictures.encode(row([4, 0, 7]))).json()
    accept_at = described["accept_at"] if described else 2
    assert (number["decision"] == "accept") == (number["confidence"] >= accept_at)


def test_digits_that_touch_in_a_square_picture_are_read_even_if_they_may_not_pass(reader: Reader) -> None:
    picture = pictures.encode(row([3, 5], apart=30))
    [alone] = reader.read([picture])
    assert isinstance(alone, Reading)
    assert alone.reasons == (Reason.NOT_A_DIGIT,)
    result = reader.read_field(picture, accept_at=0.99999)
    assert isinstance(result, FieldReading)
    assert (result.text, result.decision) == ("35", Decision.REVIEW)


def test_a_blank_field_has_no_text(client: TestClient) -> None:
    for image in (Image.new("L", (400, 80), 245), row([], cells=True), row([], size=200).resize((300, 60))):
        answer = client.post("/predict/field", content=pictures.encode(image)).json()
        assert (answer["text"], answer["decision"], answer["reasons"]) == ("", "reject", ["blank"])
        FieldPrediction.model_validate(answer)


def test_the_answer_is_of_the_documented_shape(client: TestClient) -> None:
    response = client.post("/predict/field", content=pictures.encode(row([4, 0, 7])))
    FieldPrediction.model_validate(response.json())
    assert set(response.json()) == {*FieldPrediction.model_fields}
    assert "infer" in response.headers["Server-Timing"]


def test_a_length_chooses_among_readings(client: TestClient) -> None:
    data = pictures.encode(row([4, 0, 7]))
    assert client.post("/predict/field?length=3", content=data).json()["text"] == "407"
    other = client.post("/predict/field?length=2-5", content=data).json()
    assert 2 <= len(other["text"]) <= 5
    none = client.post("/predict/field?length=20", content=data).json()
    assert (none["text"], none["decision"]) == ("", "reject")


def test_a_check_digit_that_fails_is_not_read(client: TestClient) -> None:
    data = pictures.encode(row([7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 3]))
    assert client.post("/predict/field?check=luhn", content=data).json()["text"] == "79927398713"
    for check in ("luhn", "ean", "mod11"):
        answer = client.post(f"/predict/field?check={check}", content=pictures.encode(row([7, 9, 9]))).json()
        assert answer["text"] != "799" or answer["decision"] != "accept"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("length=0", "'length' has the value '0'"),
        ("length=8-3", "'length'"),
        ("length=five", "must be a number of digits"),
        ("length=65", "1 to 64"),
        ("check=crc", "'check' has the value 'crc'"),
        ("include=image", "no query parameter 'include'; allowed are"),
        ("accept_at=2", "'accept_at'"),
    ],
)
def test_a_bad_query_is_told_what_is_wrong(client: TestClient, query: str, said: str) -> None:
    body = problem(client.post(f"/predict/field?{query}", content=pictures.png(3)))
    assert (body["status"], body["code"]) == (400, "invalid_request")
    assert said in body["detail"]


def test_a_batch_keeps_order_and_items_carry_their_own_options(client: TestClient) -> None:
    image = base64.b64encode(pictures.encode(row([4, 0, 7]))).decode()
    images = [
        {"id": "a", "image": image},
        {"id": "b", "image": image, "length": 9},
        {"id": "c", "image": image, "length": "x"},
        {"id": "d", "image": "?"},
        {"id": "e", "image": image, "accept_at": 0},
        {"id": "f", "image": image, "accept_at": 1, "check": None},
    ]
    answer = client.post("/predict/field/batch", json={"images": images}).json()
    FieldBatchPrediction.model_validate(answer)
    assert [result["id"] for result in answer["results"]] == list("abcdef")
    texts = [result["prediction"] and result["prediction"]["text"] for result in answer["results"]]
    assert texts == ["407", "", None, None, "407", "407"]
    assert [result["error"] and result["error"]["code"] for result in answer["results"]] == [
        None, None, "invalid_request", "invalid_request", None, None,
    ]  # fmt: skip
    assert answer["results"][4]["prediction"]["decision"] == "accept"
    assert answer["counts"]["error"] == 2


def test_each_field_of_a_batch_is_read_as_alone(client: TestClient) -> None:
    files = [pictures.encode(row(digits)) for digits in ([4, 0, 7], [1, 2], [9])]
    answer = client.post("/predict/field/batch", content=pictures.archive(dict(zip("abc", files, strict=True)))).json()
    for data, result in zip(files, answer["results"], strict=True):
        alone = client.post("/predict/field", content=data).json()
        del alone["model"]
        assert result["prediction"] == alone


def test_a_bad_picture_is_answered_as_everywhere(client: TestClient) -> None:
    assert problem(client.post("/predict/field", content=b"no picture"))["code"] == "invalid_image"
    assert problem(client.post("/predict/field", content=b""))["code"] == "invalid_request"


def test_noise_and_scribbles_are_no_accepted_number(reader: Reader) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        noise = Image.fromarray(rng.integers(0, 256, (60, 300), np.uint8))
        assert read(reader, noise).decision != "accept"
        scribble = Image.new("L", (300, 80), 250)
        ImageDraw.Draw(scribble).line([tuple(p) for p in rng.integers(5, 75, (25, 2)) * (4, 1)], fill=20, width=3)
        assert read(reader, scribble).decision != "accept"
