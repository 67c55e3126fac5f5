"""Paho's interoperability suites against a gateway that runs with `paho.yaml`.

    node dist/sluice.cjs run --config test/peers/paho.yaml --data "$(mktemp -d)" &
    PAHO=FOLDER python3 test/peers/paho.py client_test
    PAHO=FOLDER python3 test/peers/paho.py client_test5

FOLDER is `interoperability/` of a checkout of https://github.com/eclipse/paho.mqtt.testing. The suites are run as they
are, but for two of their variables: the port, because client_test.py refuses its own option, and the topic to which
subscriptions are refused, because `paho.yaml` cannot allow `+/+` and refuse one of two levels.
"""
import logging
import os
import sys
import unittest

sys.path.insert(0, os.environ["PAHO"])
name = sys.argv[1]
suite = __import__(name)
logging.getLogger().setLevel(logging.ERROR)
suite.host, suite.port, suite.topic_prefix = "localhost", 18830, "client_test5/"


def data():
    suite.topics = ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")
    suite.wildtopics = ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")
    suite.nosubscribe_topics = ("not/for/you",)


data()
suite.setData = data
unittest.main(module=suite, argv=[name, "-v"] + sys.argv[2:])
