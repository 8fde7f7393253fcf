"""Nodes of the DHT made of libtorrent. One JSON object as its argument:

listen    ["IP", ...], one node at each
begin     "IP:PORT" to begin with; none: all but the first begin with the first

It says `node N IP:PORT` of each and `control PORT`. Whoever connects to that port on 127.0.0.1 sends one line, what a node is to do; what came of it is said:

peers N HASH                               `peers N HASH IP:PORT ..`, of each answer that names some
announce N HASH PORT
put N TEXT                                 `put N TARGET COUNT`, COUNT being how many nodes took it
get N TARGET                               `item N TARGET TEXT`; TEXT is empty when there is none
sign N PRIVATE PUBLIC SALT TEXT            `put N PUBLIC COUNT`; the keys in hexadecimal digits, the private one expanded to 64 bytes
find N PUBLIC SALT                         `signed N PUBLIC SEQ TEXT`; the newest comes last
"""
import json
import signal
import socket
import sys

import libtorrent as lt

options = json.loads(sys.argv[1])


def say(*words):
    print(*words, flush=True)


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else ""


sessions = []
for ip in options["listen"]:
    session = lt.session({
        "listen_interfaces": ip + ":0",
        "enable_dht": True,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "dht_bootstrap_nodes": "",
        # All are on one computer, at addresses that no id fits.
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_ignore_dark_internet": False,
        "dht_prefer_verified_node_ids": False,
        "dht_enforce_node_id": False,
        "dht_upload_rate_limit": 1_000_000,
        "alert_mask": lt.alert.category_t.all_categories,
    })
    port = session.listen_port()
    sessions.append((session, ip, port))
    say("node", len(sessions) - 1, f"{ip}:{port}")

for number, (session, ip, _) in enumerate(sessions):
    if "begin" in options:
        host, port = options["begin"].rsplit(":", 1)
        session.add_dht_node((host, int(port)))
    elif number > 0:
        session.add_dht_node(sessions[0][1:])


def order(word, number, *rest):
    session = sessions[int(number)][0]
    if word == "peers":
        session.dht_get_peers(lt.sha1_hash(bytes.fromhex(rest[0])))
    elif word == "announce":
        session.dht_announce(lt.sha1_hash(bytes.fromhex(rest[0])), int(rest[1]), 0)
    elif word == "put":
        session.dht_put_immutable_item(rest[0].encode())
    elif word == "get":
        session.dht_get_immutable_item(lt.sha1_hash(bytes.fromhex(rest[0])))
    elif word == "sign":
        private, public, salt, value = rest
        session.dht_put_mutable_item(bytes.fromhex(private), bytes.fromhex(public), value.encode(), salt.encode())
    elif word == "find":
        session.dht_get_mutable_item(bytes.fromhex(rest[0]), rest[1].encode())
    else:
        say("note no such order:", word)


control = socket.socket()
control.bind(("127.0.0.1", 0))
control.listen()
control.settimeout(0.02)
say("control", control.getsockname()[1])

ended = False


def end(*_):
    global ended
    ended = True


signal.signal(signal.SIGTERM, end)
while not ended:
    try:
        with control.accept()[0] as connection:
            connection.settimeout(5)
            order(*connection.makefile().readline().split())
    except TimeoutError:
        pass
    for number, (session, _, _) in enumerate(sessions):
        for alert in session.pop_alerts():
            if isinstance(alert, lt.dht_get_peers_reply_alert):
                peers = [f"{ip}:{port}" for ip, port in alert.peers()]
                if peers:
                    say("peers", number, alert.info_hash, *peers)
            elif isinstance(alert, lt.dht_immutable_item_alert):
                say("item", number, alert.target, text(alert.item))
            elif isinstance(alert, lt.dht_mutable_item_alert):
                say("signed", number, alert.key.hex(), alert.seq, text(alert.item))
            elif isinstance(alert, lt.dht_put_alert):
                name = alert.public_key.hex() if any(alert.public_key) else alert.target
                say("put", number, name, alert.num_success)
            elif isinstance(alert, lt.listen_failed_alert):
                say("note", alert.message())
