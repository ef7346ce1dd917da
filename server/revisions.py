"""Revisions: which state of a thing a client has seen (ETag), and whether it may write over the present one (If-Match).

Read the thing under a lock, `check` it, write it, and nobody's change is lost. Without If-Match the last one wins.
"""

from collections.abc import Mapping

from aiohttp import hdrs, web

from server.errors import Problem


def tagged(revision: int) -> Mapping[str, str]:
    """The header that names a revision."""
    return {hdrs.ETAG: f'"{revision}"'}


def check(request: web.Request, revision: int) -> None:
    """412 precondition_failed when the client has seen another revision than this one."""
    condition = request.headers.get(hdrs.IF_MATCH)
    if condition is None or condition.strip() == "*":
        return
    if f'"{revision}"' not in (tag.strip() for tag in condition.split(",")):
        raise Problem(412, "precondition_failed", "Somebody changed this since you read it. Read it again.")
