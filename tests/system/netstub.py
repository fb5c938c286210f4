"""A DNS server (every name is 127.0.0.1) and an HTTP proxy that says what it was asked for and refuses."""

import socket
import socketserver
import threading


class Dns(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, sock = self.request
        end = query.index(b"\0", 12) + 5
        question, kind = query[12:end], query[end - 4 : end - 2]
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("127.0.0.1") if kind == b"\0\1" else b""
        counts = b"\0\1" + (b"\0\1" if answer else b"\0\0") + b"\0\0\0\0"
        sock.sendto(query[:2] + b"\x81\x80" + counts + question + answer, self.client_address)


class Proxy(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        print(self.rfile.readline().decode().strip(), flush=True)
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


dns = socketserver.ThreadingUDPServer(("127.0.0.1", 53), Dns)
threading.Thread(target=dns.serve_forever, daemon=True).start()
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", 3128), Proxy).serve_forever()
