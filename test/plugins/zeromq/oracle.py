"""libzmq, driven by JSON lines: one operation in, one answer out. Frames are text, one byte per character."""
import json
import sys
import time

import zmq
import zmq.auth.thread

context = zmq.Context()
sockets = {}
authenticator = None


def frames_of(texts):
    return [text.encode("latin1") for text in texts]


def open_socket(op):
    socket = context.socket(getattr(zmq, op["type"]))
    socket.linger = 1000
    for name, value in op.get("options", {}).items():
        setattr(socket, name, value.encode("latin1") if isinstance(value, str) else value)
    for prefix in op.get("subscribe", []):
        socket.setsockopt(zmq.SUBSCRIBE, prefix.encode("latin1"))
    port = None
    if "bind" in op:
        if op["bind"].endswith(":0"):
            port = socket.bind_to_random_port(op["bind"][:-2])
        else:
            socket.bind(op["bind"])
    for endpoint in op.get("connect", []):
        socket.connect(endpoint)
    sockets[op["name"]] = socket
    return port


def send(op):
    socket = sockets[op["name"]]
    frames = frames_of(op["frames"])
    for _ in range(op.get("times", 1)):
        socket.send_multipart(frames)


def receive(op):
    socket = sockets[op["name"]]
    messages = []
    while len(messages) < op.get("times", 1):
        if not socket.poll(op.get("timeout", 5000)):
            break
        messages.append([frame.decode("latin1") for frame in socket.recv_multipart()])
    return messages


def authenticate(op):
    global authenticator
    authenticator = zmq.auth.thread.ThreadAuthenticator(context)
    authenticator.start()
    if "plain" in op:
        authenticator.configure_plain(domain="*", passwords=op["plain"])
    if "curve" in op:
        authenticator.configure_curve_callback(domain="*", credentials_provider=Known(op["curve"]))


class Known:
    def __init__(self, keys):
        self.keys = keys

    def callback(self, domain, key):
        return key.decode("latin1") in self.keys


def keys(_):
    return [key.decode("latin1") for key in zmq.curve_keypair()]


def pause(op):
    time.sleep(op["ms"] / 1000)


def close(op):
    sockets.pop(op["name"]).close()


OPERATIONS = {"socket": open_socket, "send": send, "receive": receive, "authenticate": authenticate, "keys": keys, "close": close, "pause": pause}

for line in sys.stdin:
    operation = json.loads(line)
    try:
        answer = {"result": OPERATIONS[operation["op"]](operation)}
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)

if authenticator:
    authenticator.stop()
context.destroy(linger=0)
