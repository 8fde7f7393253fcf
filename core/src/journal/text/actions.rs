//! Actions, and the work that they start.

use super::value::{Fields, Kind, Line, Value};
use super::{Job, Transcript};
use crate::border::{Action, HttpRequest, JobId, Route, SocketKind, Work};
use alloc::format;
use alloc::vec::Vec;

impl Transcript {
    /// The action's line, and those of what goes out by it.
    pub(super) fn action(&mut self, action: &Action, lines: &mut Vec<Line>) {
        let line = |word| Line::new(Kind::Action, word);
        match action {
            Action::Bind { sock, kind, addr, device } => {
                let (kind, group) = match kind {
                    SocketKind::TcpListener => ("tcp", None),
                    SocketKind::Udp => ("udp", None),
                    SocketKind::Multicast { group } => ("multicast", Some(*group)),
                };
                lines.push(
                    line("bind")
                        .with("socket", *sock)
                        .with("kind", Value::Word(kind))
                        .maybe("group", group)
                        .with("local", *addr)
                        .maybe("device", device.as_ref()),
                );
            }
            Action::Unbind { sock } => lines.push(line("unbind").with("socket", *sock)),
            Action::Dial { dial, to, from, via } => {
                let Route::Direct = via;
                let whom: Fields = [("to", Value::from(to))].into();
                self.dials.insert(*dial, whom.clone());
                lines.push(line("dial").with("dial", *dial).all(whom).maybe("from-socket", *from));
            }
            Action::CancelDial { dial } => {
                let whom = self.dials.get(dial).cloned().unwrap_or_default();
                lines.push(line("cancel dial").with("dial", *dial).all(whom));
            }
            Action::Send { tcp, bytes } => {
                lines.push(self.on(*tcp, Kind::Action, "send").with("bytes", Value::count(bytes.len())));
                self.stream(*tcp, Kind::Sent, bytes.clone(), lines);
            }
            Action::SendContent { tcp, torrent, piece, begin, bytes } => {
                lines.push(
                    self.on(*tcp, Kind::Action, "send content")
                        .with("torrent", *torrent)
                        .piece(*piece)
                        .with("begin", *begin)
                        .with("length", Value::count(bytes.len())),
                );
                self.stream(*tcp, Kind::Sent, bytes.clone(), lines);
            }
            Action::Grant { tcp, bytes } => {
                lines.push(self.on(*tcp, Kind::Action, "grant").with("bytes", *bytes));
            }
            Action::Close { tcp, flush } => lines.push(self.on(*tcp, Kind::Action, "close").with("flush", *flush)),
            Action::SendDatagrams { sock, to, segment, bytes, dont_fragment } => {
                lines.push(
                    line("send datagrams")
                        .with("socket", *sock)
                        .with("to", *to)
                        .with("segment", *segment)
                        .with("bytes", Value::count(bytes.len()))
                        .with("dont-fragment", *dont_fragment),
                );
                super::trackers::datagrams(Kind::Sent, *to, *segment, bytes, lines);
            }
            Action::Start { job, work } => self.start(*job, work, lines),
            Action::GrantJob { job, bytes } => lines.push(line("grant job").with("job", *job).with("bytes", *bytes)),
            Action::Cancel { job } => {
                let fields = self.jobs.get(job).map(|job| job.fields.clone()).unwrap_or_default();
                lines.push(line("cancel job").with("job", *job).all(fields));
            }
        }
    }

    fn start(&mut self, job: JobId, work: &Work, lines: &mut Vec<Line>) {
        if let Work::Open { torrent, layout, .. } = work {
            let pieces = layout.total_length().div_ceil(u64::from(layout.piece_length()).max(1));
            self.pieces.insert(*torrent, u32::try_from(pieces).unwrap_or(u32::MAX));
        }
        let (named, more) = describe(work);
        lines.push(Line::new(Kind::Action, "start").with("job", job).all(named.iter().cloned()).all(more));
        let mut question = None;
        if let Work::Http(request) = work
            && let Some((asked, line)) = super::trackers::http_question(request)
        {
            question = Some(asked);
            lines.push(line);
        }
        self.jobs.insert(job, Job { fields: named, question });
    }
}

/// What a job is: the fields that name it, and those that say more.
fn describe(work: &Work) -> (Fields, Fields) {
    let name = |word| ("work", Value::Word(word));
    let plain =
        |word, torrent| -> (Fields, Fields) { ([name(word), ("torrent", Value::Torrent(torrent))].into(), Vec::new()) };
    let range = |word, torrent, piece, begin: u32, length: usize| -> Fields {
        [
            name(word),
            ("torrent", Value::Torrent(torrent)),
            ("piece", Value::Piece(piece)),
            ("begin", begin.into()),
            ("length", Value::count(length)),
        ]
        .into()
    };
    match work {
        Work::Open { torrent, root, key, layout } => {
            let more = [
                ("root", root.0.into()),
                ("key", key.into()),
                ("files", Value::count(layout.files().len())),
                ("piece-length", layout.piece_length().into()),
                ("total-length", layout.total_length().into()),
            ];
            (plain("open", *torrent).0, more.into())
        }
        Work::Release { torrent } => plain("release", *torrent),
        Work::Check { torrent } => plain("check", *torrent),
        Work::CreateEmpty { torrent, files } => {
            (plain("create empty", *torrent).0, [("files", Value::list(files.iter().copied()))].into())
        }
        Work::Place { torrent, apart, pieces } => {
            let more = [
                ("apart", Value::list(apart.iter())),
                ("pieces", Value::List(pieces.iter().map(|&piece| Value::Piece(piece)).collect())),
            ];
            (plain("place", *torrent).0, more.into())
        }
        Work::DropPart { torrent } => plain("drop part file", *torrent),
        Work::Read { torrent, piece, begin, length } => {
            (range("read", *torrent, *piece, *begin, *length as usize), Vec::new())
        }
        Work::Write { torrent, piece, begin, bytes } => {
            (range("write", *torrent, *piece, *begin, bytes.len()), Vec::new())
        }
        Work::Verify { torrent, piece, length, expect, blocks } => {
            let (mut named, _) = plain("verify", *torrent);
            named.push(("piece", Value::Piece(*piece)));
            let more = [
                ("length", (*length).into()),
                ("expect", Value::Id(format!("{expect:?}"))),
                ("hash-blocks", (*blocks).into()),
            ];
            (named, more.into())
        }
        Work::Sync { torrent } => plain("sync", *torrent),
        Work::Save { torrent, bytes } => (plain("save", *torrent).0, [("record", Value::bytes(bytes))].into()),
        Work::Load { torrent } => plain("load", *torrent),
        Work::Delete { torrent, spare } => {
            (plain("delete", *torrent).0, [("spare", Value::list(spare.iter().copied()))].into())
        }
        Work::Move { torrent, root } => (plain("move", *torrent).0, [("root", root.0.into())].into()),
        Work::LoadDht { v6 } => ([name("load dht node"), ("v6", (*v6).into())].into(), Vec::new()),
        Work::SaveDht { v6, bytes } => {
            ([name("save dht node"), ("v6", (*v6).into())].into(), [("record", Value::bytes(bytes))].into())
        }
        Work::Resolve { host } => ([name("resolve"), ("host", host.into())].into(), Vec::new()),
        Work::Http(request) => http(request),
    }
}

fn http(request: &HttpRequest) -> (Fields, Fields) {
    let HttpRequest { to, tls, host, port, path, user_agent, from, body_limit, time_limit } = request;
    // What is asked of a tracker has a line of its own.
    let path = path.split('?').next().unwrap_or_default();
    let scheme = if *tls { "https" } else { "http" };
    let url = Value::text(&format!("{scheme}://{host}:{port}{path}"));
    let mut more: Fields = [("to", Value::Addr(*to))].into();
    more.extend(user_agent.as_ref().map(|agent| ("user-agent", agent.into())));
    more.extend(from.map(|ip| ("from", ip.into())));
    more.extend([("body-limit", (*body_limit).into()), ("time-limit", (*time_limit).into())]);
    ([("work", Value::Word("get")), ("url", url)].into(), more)
}
