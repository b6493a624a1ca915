"""Scanner port over the core's strict JSON judge, the one that also judges the sockets."""

from chatrooms import _core
from chatrooms.domain.errors import Code, Refusal


class CoreScanner:
    """Both methods take microseconds and may be called anywhere."""

    def members(self, document: bytes) -> dict[str, bytes]:
        """As the port says."""
        try:
            return _core.members(document)
        except _core.CoreError as error:
            raise _refusal(error) from None

    def judge_body(self, body: bytes) -> None:
        """As the port says."""
        try:
            _core.judge_body(body)
        except _core.CoreError as error:
            raise _refusal(error) from None


def _refusal(error: _core.CoreError) -> Refusal:
    code, field = error.args
    return Refusal(Code(code), _SENTENCES.get(code, ""), field=field)


_SENTENCES = {
    "bad_request": "not the strict JSON that the protocol asks for",
    "too_large": "larger than the protocol allows",
}
