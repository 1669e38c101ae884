"""A file that is answered with as it was opened, whatever becomes of its name meanwhile."""

import os
from typing import BinaryIO

from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send


class OpenedFile(FileResponse):
    """An open file to be downloaded under a name; it is closed when it has been sent. Ranges and the rest are
    FileResponse's, which would look for the file's name again, and answer 500 where it is gone.
    """

    def __init__(self, file: BinaryIO, media_type: str, filename: str):
        self.file = file
        found = os.fstat(file.fileno())
        super().__init__(f"/dev/fd/{file.fileno()}", media_type=media_type, filename=filename, stat_result=found)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        with self.file:
            await super().__call__(scope, receive, send)
