"""Makes a .torrent file with libtorrent: libtorrent_make.py CONTENT OUTPUT v1|hybrid PIECE_LENGTH. Prints the v1 info-hash."""
import os
import sys

import libtorrent as lt

content, output, version, piece_length = sys.argv[1:]
files = lt.file_storage()
lt.add_files(files, content)
flags = lt.create_torrent.v1_only if version == "v1" else 0
torrent = lt.create_torrent(files, int(piece_length), flags)
lt.set_piece_hashes(torrent, os.path.dirname(content))
with open(output, "wb") as out:
    out.write(lt.bencode(torrent.generate()))
print(lt.torrent_info(output).info_hashes().v1)
