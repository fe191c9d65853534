"""Answers any request at once: what is measured is the client. Prints its port; counts connections."""

import asyncio
import json
import sys


class Answers(asyncio.Protocol):
    connections = 0
    sends = 0

    def connection_made(self, transport):
        self.transport = transport
        self.buffer = b""
        Answers.connections += 1

    def data_received(self, data):
        self.buffer += data
        while True:
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            lines = head.split(b"\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in lines[1:] if b": " in line)
            length = int(fields.get(b"content-length", b"0"))
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            self.answer(lines[0].split(b" ")[1])

    def answer(self, target):
        if b"token" in target.split(b"?")[0]:
            body = {"access_token": "a-token", "expires_in": 7200}
        elif target == b"/connections":
            body = {"connections": Answers.connections - 1, "sends": Answers.sends}
        else:
            Answers.sends += 1
            body = {"errcode": 0, "errmsg": "send job submission success", "msg_id": 3147494552 + Answers.sends}
        text = json.dumps(body).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
        )


async def main():
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
