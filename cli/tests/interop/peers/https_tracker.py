"""A tracker behind TLS, by Python's own libraries: https_tracker.py CERTIFICATE KEY PEER_IP:PORT. It names that one peer to everybody.

The peer is named in the compact form (BEP 23), or as a dictionary (BEP 3) when the path begins with /announce/dictionary.
It says `listening PORT`, and for each announce `announce PATH`. Runs until it is killed.
"""
import http.server
import socket
import ssl
import sys

certificate, key, peer = sys.argv[1:]
ip, port = peer.rsplit(":", 1)
compact = socket.inet_aton(ip) + int(port).to_bytes(2, "big")
compact_answer = b"d8:intervali900e5:peers%d:%se" % (len(compact), compact)
dictionary_answer = b"d8:intervali900e5:peersld2:ip%d:%s4:porti%deeee" % (len(ip), ip.encode(), int(port))


class Tracker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("announce", self.path, flush=True)
        answer = dictionary_answer if self.path.startswith("/announce/dictionary") else compact_answer
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


class Server(http.server.ThreadingHTTPServer):
    def get_request(self):
        connection, address = super().get_request()
        # The handshake is left to the first read, which is done by a thread of its own.
        return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


server = Server(("127.0.0.1", 0), Tracker)
print("listening", server.server_port, flush=True)
server.serve_forever()
