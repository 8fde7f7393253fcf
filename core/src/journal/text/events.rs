//! Events.

use super::value::{Kind, Line, Value};
use super::wire::Stream;
use super::{Job, Transcript};
use crate::border::{Event, FileState, IoFault, JobId, JobResult};
use alloc::string::ToString;
use alloc::vec::Vec;

impl Transcript {
    /// The event's line, and those of what it brought.
    pub(super) fn event(&mut self, event: &Event, lines: &mut Vec<Line>) {
        let line = |word| Line::new(Kind::Event, word);
        match event {
            Event::Tick => lines.push(line("tick")),
            Event::WallClock { unix_seconds } => lines.push(line("date").with("unix-seconds", *unix_seconds)),
            Event::InterfacesChanged => lines.push(line("interfaces changed")),
            Event::Bound { sock, local } => lines.push(line("bound").with("socket", *sock).with("local", *local)),
            Event::BindFailed { sock, fault } => lines.push(line("bind failed").with("socket", *sock).why(fault)),
            Event::Accepted { sock, tcp, local, remote } => {
                self.streams.insert(*tcp, Stream::new(*remote, self.max_message));
                lines.push(self.on(*tcp, Kind::Event, "accepted").with("socket", *sock).with("local", *local));
            }
            Event::Connected { dial, tcp, local, remote } => {
                self.streams.insert(*tcp, Stream::new(*remote, self.max_message));
                self.dials.remove(dial);
                lines.push(self.on(*tcp, Kind::Event, "connected").with("dial", *dial).with("local", *local));
            }
            Event::DialFailed { dial, fault } => {
                let whom = self.dials.remove(dial).unwrap_or_default();
                lines.push(line("dial failed").with("dial", *dial).all(whom).why(fault));
            }
            Event::Received { tcp, bytes } => {
                lines.push(self.on(*tcp, Kind::Event, "received").with("bytes", Value::count(bytes.len())));
                self.stream(*tcp, Kind::Received, bytes.clone(), lines);
            }
            Event::Flushed { tcp, bytes } => lines.push(self.on(*tcp, Kind::Event, "flushed").with("bytes", *bytes)),
            Event::Closed { tcp, fault } => {
                let ended = self.on(*tcp, Kind::Event, "closed");
                lines.push(match fault {
                    None => ended.with("why", Value::Word("in order")),
                    Some(fault) => ended.why(fault),
                });
                self.streams.remove(tcp);
            }
            Event::Datagrams { sock, from, segment, bytes } => {
                lines.push(
                    line("datagrams")
                        .with("socket", *sock)
                        .with("from", *from)
                        .with("segment", *segment)
                        .with("bytes", Value::count(bytes.len())),
                );
                super::trackers::datagrams(Kind::Received, *from, *segment, bytes, lines);
            }
            Event::JobData { job, bytes } => {
                lines.push(line("data").with("job", *job).with("bytes", Value::count(bytes.len())));
            }
            Event::JobDone { job, result } => self.job_done(*job, result, lines),
            Event::Command { id, command } => lines.push(super::commands::line(*id, command)),
        }
    }

    fn job_done(&mut self, job: JobId, result: &Result<JobResult, IoFault>, lines: &mut Vec<Line>) {
        // One that is not known was never started: its end does nothing.
        let Job { fields, question } = self.jobs.remove(&job).unwrap_or(Job { fields: Vec::new(), question: None });
        let line = |word| Line::new(Kind::Event, word).with("job", job).all(fields.iter().cloned());
        let result = match result {
            Ok(result) => result,
            Err(fault) => return lines.push(line("failed").why(fault)),
        };
        let done = line("done");
        lines.push(match result {
            JobResult::Done => done,
            JobResult::Read(bytes) => done.with("bytes", Value::count(bytes.len())),
            JobResult::Verified(verdict) => {
                let hashed = Some(verdict.blocks.len()).filter(|&count| count > 0);
                done.with("matches", verdict.matches).maybe("block-hashes", hashed.map(Value::count))
            }
            JobResult::Checked { files, part, free } => done
                .with("files", Value::List(files.iter().map(|file| state(*file)).collect()))
                .maybe("part-file", part.map(|part| state(Some(part))))
                .maybe("free", *free),
            JobResult::Loaded(records) => {
                done.with("records", Value::List(records.iter().map(|record| Value::bytes(record)).collect()))
            }
            JobResult::Resolved(addresses) => done.with("addresses", Value::list(addresses.iter().copied())),
            JobResult::Http(response) => done
                .with("status", response.status)
                .maybe("location", response.location.as_deref())
                .maybe("retry-after", response.retry_after)
                .with("body", Value::bytes(&response.body)),
        });
        if let (JobResult::Http(response), Some(question)) = (result, question)
            && let Some(answer) = super::trackers::http_answer(question, response)
        {
            lines.push(answer);
        }
    }
}

/// A file as it is: its length.
fn state(file: Option<FileState>) -> Value {
    match file {
        Some(FileState { length, modified: _ }) => Value::Id(length.to_string()),
        None => Value::Word("none"),
    }
}
