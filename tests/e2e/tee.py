"""A TCP proxy that keeps every byte that passes, and the MQTT 5 messages in them."""
import socket
import threading


class Tee:
    def __init__(self, upstream):
        """Listens on a free loopback port; passes on to loopback port `upstream`, which may come up later."""
        self.upstream = upstream
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.streams = []  # one bytearray a connection and direction
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.upstream), 5)
                broker.settimeout(None)
            except OSError:
                client.close()
                continue
            for source, sink in ((client, broker), (broker, client)):
                kept = bytearray()
                with self.lock:
                    self.streams.append(kept)
                threading.Thread(target=self._pump, args=(source, sink, kept), daemon=True).start()

    def _pump(self, source, sink, kept):
        try:
            while data := source.recv(65536):
                with self.lock:
                    kept += data
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()

    def captured(self):
        with self.lock:
            return [bytes(s) for s in self.streams]


def varint(data, at):
    """(value, index after it); None when it is not all there."""
    value, shift = 0, 0
    while at < len(data) and shift < 28:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7
    return None


def messages(stream):
    """(topic, payload) of each PUBLISH of MQTT 5 in one direction of a connection."""
    out, at = [], 0
    while at < len(stream):
        kind, length = stream[at], varint(stream, at + 1)
        if length is None or length[1] + length[0] > len(stream):
            return out  # cut off by a kill
        body = stream[length[1]:length[1] + length[0]]
        at = length[1] + length[0]
        if kind >> 4 != 3:
            continue
        topic_end = 2 + int.from_bytes(body[:2], "big")
        properties = varint(body, topic_end + (2 if kind & 0x06 else 0))
        out.append((body[2:topic_end].decode(), body[properties[1] + properties[0]:]))
    return out
