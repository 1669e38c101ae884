"""An application that answers so many bytes and does nothing else, served as the service is: what an answer costs
before anything is computed.

    python -m tests.bench.bare LENGTH --port N
"""

import sys
import tempfile
from pathlib import Path

from gatescope.app.http.serving import Server
from gatescope.app.settings import Settings


def main() -> None:
    """Serve until told to stop."""
    content = bytes(int(sys.argv[1]))

    async def bare(scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        body = b'{"status":"ok"}' if scope["path"] == "/healthz" else content
        length = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})

    with tempfile.TemporaryDirectory() as folder:
        Server(bare, Settings(data=Path(folder)), port=int(sys.argv[3]), log_level="warning").run()


if __name__ == "__main__":
    main()
