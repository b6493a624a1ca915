"""Content negotiation for an API that has one representation of everything (RFC 9110, 12.5.1)."""


def accepts(header: str, media_type: str) -> bool:
    """Whether an Accept header allows `media_type`; the most specific range decides."""
    family = media_type.partition("/")[0]
    best = -1
    allowed = False
    for entry in header.split(","):
        media_range, *parameters = (part.strip().lower() for part in entry.split(";"))
        try:
            precision = ("*/*", f"{family}/*", media_type).index(media_range)
        except ValueError:
            continue
        if precision > best:
            best, allowed = precision, _quality(parameters) > 0
    return allowed


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
