"""Command that shows a running study as a local page: view."""

from __future__ import annotations

from typing import Annotated

import typer

from crosslift.cli.arguments import Folder
from crosslift.cli.printing import say
from crosslift.viewing.defaults import PORT


def view(
    folder: Folder,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help=f"Port of the page; 0: any free one. Default: {PORT}, or a free one."),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in the web browser.")] = False,
) -> None:
    """Serve a page for this machine that follows a running study and contains its report. Only reads the folder."""
    from crosslift.errors import StoreError
    from crosslift.viewing.observer import Observer, open_read_only
    from crosslift.viewing.server import ViewServer

    observer = Observer(lambda: open_read_only(folder))
    try:
        server = ViewServer(observer, port=PORT if port is None else port)
    except StoreError:
        if port is not None:
            raise
        server = ViewServer(observer, port=0)
    say(f"{server.address} shows {folder}, for this machine only. Press Ctrl+C to end.")
    if browser:
        import webbrowser

        webbrowser.open(server.address)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Ended. The study runs on.")
