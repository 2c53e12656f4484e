from service import errors

# Section 2 of the contract, "Errors".
CONTRACT = {
    "invalid_request": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid_image": 422,
    "overloaded": 429,
    "internal_error": 500,
    "unavailable": 503,
    "deadline_exceeded": 504,
}


def test_every_promised_error_exists_and_no_other() -> None:
    classes = errors.ServiceError.__subclasses__()
    assert {cls.code: cls.status for cls in classes} == CONTRACT
    assert len({cls.title for cls in classes}) == len(classes)


def test_errors_that_may_pass_say_when_to_come_back() -> None:
    waiting = {cls.code for cls in errors.ServiceError.__subclasses__() if "Retry-After" in cls.headers}
    assert waiting == {"overloaded", "unavailable"}


def test_every_error_says_in_a_sentence_when_it_happens() -> None:
    assert all(cls.__doc__ for cls in errors.ServiceError.__subclasses__())
