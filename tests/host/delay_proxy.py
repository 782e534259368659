"""A TCP port that is a given time away from another one, for kernels without netem."""

import asyncio
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 1 << 16


class DelayProxy:
    """Listens on 127.0.0.1 and passes every byte on to `target` after `milliseconds`, in each direction.

    So the round trip is 2 × `milliseconds` longer and the throughput stays. A connection starts as late as its
    handshake would make it: the target hears of it after three one-way trips (SYN, SYN-ACK, ACK), and what the
    client sends at once arrives no sooner. Runs in a thread of its own while the `with` block lasts.
    """

    def __init__(self, target: tuple[str, int], milliseconds: float) -> None:
        self.target = target
        self.delay_s = milliseconds / 1000
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3 * self.delay_s)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        for each in (writer, far_writer):
            # `drain` waits until all is written: an end of file is then sent from where its failing is caught.
            each.transport.set_write_buffer_limits(high=0)
        try:
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        except asyncio.CancelledError:
            pass  # the proxy stops; asyncio would print a connection that ends so as an error
        finally:
            writer.close()
            far_writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction: what is read now is written `delay_s` later, an end of file too."""
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arriving = asyncio.create_task(self._arrive(on_the_way, writer))
        with suppress(ConnectionError):
            while chunk := await reader.read(_CHUNK_BYTES):
                on_the_way.put_nowait((self._loop.time() + self.delay_s, chunk))
        on_the_way.put_nowait((self._loop.time() + self.delay_s, b""))
        await arriving

    async def _arrive(
        self, on_the_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter
    ) -> None:
        # An end of file towards whom is gone already is an OSError of no finer kind.
        with suppress(OSError):
            while True:
                due, chunk = await on_the_way.get()
                await asyncio.sleep(due - self._loop.time())
                if not chunk:
                    writer.write_eof()
                    return
                writer.write(chunk)
                await writer.drain()
