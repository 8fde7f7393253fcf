"""A peer made of libtorrent. One JSON object as its argument, one word (and what belongs to it) on each line of output.

torrent   path of the .torrent file, or a magnet link
dir       the folder that contains the torrent's name
listen    "IP:0"; it also dials from there
peers     ["IP:PORT", ...] to dial
trackers  URLs, in this order; none: the torrent's own are not used either
lsd       whether it looks for peers on the local network (false)
limit     the most bytes a second that it downloads; none: no limit
tell      whether it says `found IP SOURCE` of each peer that it is connected to, SOURCE being pex, lsd or other (false)

It says `listening PORT`, `complete` when every piece is there, and `stored` when all of them have been written to the files. It ends with SIGTERM.
"""
import json
import signal
import sys

import libtorrent as lt

options = json.loads(sys.argv[1])


def say(*words):
    print(*words, flush=True)


session = lt.session({
    "listen_interfaces": options["listen"],
    "outgoing_interfaces": options["listen"].rsplit(":", 1)[0].strip("[]"),
    # It shall find nobody but those it is told of.
    "enable_dht": False,
    "enable_lsd": options.get("lsd", False),
    "enable_upnp": False,
    "enable_natpmp": False,
    # Plain TCP.
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "out_enc_policy": int(lt.enc_policy.disabled),
    "in_enc_policy": int(lt.enc_policy.disabled),
    # Its usual minute is long for a test.
    "min_reconnect_time": 1,
    "alert_mask": lt.alert.category_t.all_categories,
})

if options["torrent"].startswith("magnet:"):
    torrent = lt.parse_magnet_uri(options["torrent"])
else:
    torrent = lt.add_torrent_params()
    torrent.ti = lt.torrent_info(options["torrent"])
torrent.save_path = options["dir"]
torrent.trackers = options.get("trackers", [])
torrent.flags |= lt.torrent_flags.override_trackers
torrent.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
torrent.peers = [(ip.strip("[]"), int(port)) for ip, port in (peer.rsplit(":", 1) for peer in options.get("peers", []))]

ended = False


def end(*_):
    global ended
    ended = True


signal.signal(signal.SIGTERM, end)
handle = session.add_torrent(torrent)
if "limit" in options:
    handle.set_download_limit(options["limit"])
found = set()
complete = False
while not ended:
    session.wait_for_alert(100)
    for alert in session.pop_alerts():
        if isinstance(alert, lt.listen_succeeded_alert) and "tcp" in str(alert.socket_type).lower():
            say("listening", alert.port)
        elif isinstance(alert, lt.cache_flushed_alert):
            say("stored")
        elif isinstance(alert, (lt.listen_failed_alert, lt.file_error_alert, lt.torrent_error_alert, lt.tracker_error_alert,
                                lt.peer_error_alert, lt.peer_disconnected_alert, lt.hash_failed_alert)):
            say("note", alert.message())
    for peer in handle.get_peer_info() if options.get("tell") else []:
        source = "pex" if peer.source & lt.peer_info.pex else "lsd" if peer.source & lt.peer_info.lsd else "other"
        if (peer.ip[0], source) not in found:
            found.add((peer.ip[0], source))
            say("found", peer.ip[0], source)
    if not complete and handle.status().is_seeding:
        complete = True
        say("complete")
        handle.flush_cache()
