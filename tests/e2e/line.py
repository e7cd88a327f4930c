"""A long line between the sites and the broker: a TCP relay that hands on what it gets after a delay, each way.

What is sent stays on its way for a while, as over a satellite; when one end goes, so does the other, after the delay.
"""
import asyncio
import threading


class Line:
    def __init__(self, to_port, delay_s):
        self.to_port, self.delay_s = to_port, delay_s
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.call(asyncio.start_server(self.connect, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]

    def call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def connect(self, near, to_near):
        try:
            far, to_far = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            to_near.transport.abort()
            return
        try:
            await asyncio.gather(self.carry(near, to_far), self.carry(far, to_near))
        except asyncio.CancelledError:
            pass  # the line is closed; asyncio would report a connection that ends like that

    async def carry(self, source, sink):
        under_way = asyncio.Queue()

        async def deliver():
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(max(0, due - self.loop.time()))
                if not data:
                    break
                sink.write(data)
                await sink.drain()

        arriving = asyncio.ensure_future(deliver())
        try:
            data = b"-"
            while data and not arriving.done():
                data = await source.read(65536)
                under_way.put_nowait((self.loop.time() + self.delay_s, data))
            await arriving
        except OSError:
            arriving.cancel()
        finally:
            sink.transport.abort()

    def close(self):
        async def end():
            self.server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
