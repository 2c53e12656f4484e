from training.latency import measure_in_turns


def test_calls_are_timed_in_turns_and_calls_before_them_do_not_count() -> None:
    asked: list[str] = []
    ticks = iter(range(1000))
    seconds = measure_in_turns(
        {"a": lambda: asked.append("a"), "b": lambda: asked.append("b")}, 2, clock=lambda: float(next(ticks)), warm_up=1
    )
    assert "".join(asked) == "ab" + "aabb" * 2  # all of them once at first, so that what is made once is made
    assert seconds == {"a": 1.0, "b": 1.0}
    assert next(ticks) == 8  # the clock was asked around one call of each a round
