"""A device on python3-qpid-proton, told what to do by lines of JSON, telling what happened by lines of JSON.

device.py send URL TARGET < [{"to"?, "body", "kind"?: data|text|binary|map|list, "settled"?, "type"?}…]
device.py receive URL SOURCE accept|reject|release|reply
device.py listen PORT accept|reject|release       and who receives from SOURCE is given the message {"to": SOURCE}
"""
import json
import sys

from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import AtMostOnce, Container


def say(**what):
    print(json.dumps(what), flush=True)


class Common(MessagingHandler):
    def on_transport_error(self, event):
        condition = event.transport.condition
        say(event="transport", condition=condition.name, description=condition.description)

    def on_link_error(self, event):
        condition = event.link.remote_condition
        say(event="link", condition=condition.name, description=condition.description)
        event.connection.close()

    def on_connection_error(self, event):
        say(event="connection", condition=event.connection.remote_condition.name)


class Send(Common):
    def __init__(self, url, target, messages):
        super().__init__()
        self.url, self.target, self.messages = url, target, messages
        self.next = self.done = 0
        self.names = {}

    def on_start(self, event):
        connection = event.container.connect(self.url, reconnect=False, allow_insecure_mechs=True)
        once = self.messages and all(m.get("settled") for m in self.messages)
        self.sender = event.container.create_sender(
            connection, self.target or None, options=AtMostOnce() if once else None
        )

    def on_sendable(self, event):
        while event.sender.credit and self.next < len(self.messages):
            given = self.messages[self.next]
            message = Message(body=given.get("body"))
            kind = given.get("kind", "data")
            if kind == "data":
                message.body = given["body"].encode()
                message.inferred = True
            elif kind == "binary":
                message.body = given["body"].encode()
            if given.get("to"):
                message.address = given["to"]
            if given.get("type"):
                message.content_type = given["type"]
            if given.get("correlation"):
                message.correlation_id = given["correlation"]
            message.properties = {"unit": "C", "level": 3}
            delivery = event.sender.send(message)
            self.names[delivery.tag] = self.next
            self.next += 1
            if given.get("settled"):
                self.finished(event)

    def outcome(self, event, what):
        condition = event.delivery.remote.condition
        say(event=what, message=self.names[event.delivery.tag], condition=condition.name if condition else None)
        self.finished(event)

    def on_accepted(self, event):
        self.outcome(event, "accepted")

    def on_rejected(self, event):
        self.outcome(event, "rejected")

    def on_released(self, event):
        self.outcome(event, "released")

    def finished(self, event):
        self.done += 1
        if self.done == len(self.messages):
            event.connection.close()


class Receive(Common):
    def __init__(self, url, source, how):
        super().__init__(auto_accept=False)
        self.url, self.source, self.how = url, source, how

    def on_start(self, event):
        connection = event.container.connect(self.url, reconnect=False, allow_insecure_mechs=True)
        self.receiver = event.container.create_receiver(connection, self.source)
        self.sender = event.container.create_sender(connection, None) if self.how == "reply" else None

    def on_link_opened(self, event):
        if event.link == self.receiver:
            say(event="open")

    def on_message(self, event):
        message = event.message
        body = bytes(message.body).decode() if not isinstance(message.body, str) else message.body
        say(event="message", id=message.id, subject=message.subject, to=message.address, reply=message.reply_to, body=body)
        if self.how == "reject":
            event.delivery.local.condition = None
            self.reject(event.delivery)
        elif self.how == "release":
            self.release(event.delivery, delivered=False)
        else:
            self.accept(event.delivery)
        if self.how == "reply":
            answer = {"id": message.id, "ok": True, "result": {"was": json.loads(body)["args"]}}
            self.sender.send(Message(address=message.reply_to, body=json.dumps(answer)))


class Listen(Common):
    def __init__(self, port, how):
        super().__init__(auto_accept=False)
        self.port, self.how = port, how

    def on_start(self, event):
        event.container.listen("127.0.0.1:%s" % self.port)
        say(event="open")

    def on_link_opening(self, event):
        event.link.source.copy(event.link.remote_source)
        event.link.target.copy(event.link.remote_target)

    def on_link_opened(self, event):
        self.given = False

    def on_sendable(self, event):
        if not self.given:
            self.given = True
            event.sender.send(Message(id="m1", body=json.dumps({"to": event.sender.remote_source.address})))

    def on_accepted(self, event):
        say(event="accepted")

    def on_rejected(self, event):
        say(event="rejected")

    def on_message(self, event):
        message = event.message
        say(event="message", id=message.id, to=message.address, durable=message.durable, body=bytes(message.body).decode())
        if self.how == "reject":
            self.reject(event.delivery)
        elif self.how == "release":
            self.release(event.delivery, delivered=False)
        else:
            self.accept(event.delivery)


command, *rest = sys.argv[1:]
if command == "send":
    Container(Send(rest[0], rest[1], json.load(sys.stdin))).run()
elif command == "receive":
    Container(Receive(*rest)).run()
else:
    Container(Listen(*rest)).run()
