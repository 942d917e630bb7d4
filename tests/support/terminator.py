"""A TLS terminator as found in front of databases: TLS to the client, plaintext to the server.

terminator.py CERT KEY BACKEND_PORT FILE: writes the port that it listens on into FILE, then serves until it is killed.
"""

import os
import socket
import ssl
import sys
import threading

SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serve(client, context, port):
    try:
        if client.recv(8, socket.MSG_WAITALL) != SSL_REQUEST:
            client.close()
            return
        client.sendall(b"S")
        client = context.wrap_socket(client, server_side=True)
        backend = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=pump, args=(client, backend), daemon=True).start()
        pump(backend, client)
    except OSError:
        client.close()


def main():
    certificate, key, port, told = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    with open(told + ".new", "w", encoding="ascii") as file:
        file.write(str(listener.getsockname()[1]))
    os.rename(told + ".new", told)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, context, int(port)), daemon=True).start()


main()
