//! Reports as a picture (SVG).

use super::Report;
use std::fmt::Write;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 60.0;

/// One for each report; told apart in print too, by their lightness.
const COLOURS: [&str; 6] = ["#1f4e9c", "#d1690e", "#2c8a4b", "#8c2d8c", "#7a7a1f", "#b02a3c"];

/// Points of a curve for each report at most: more than there are pixels helps nobody.
const POINTS: usize = 1_000;

/// A step from mark to mark that makes about eight of them: 1, 2 or 5 times a power of ten.
fn step(span: f64) -> f64 {
    let rough = (span / 8.0).max(1e-9);
    let power = 10f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= rough);
    times.unwrap_or(10.0) * power
}

/// The share that is there at each moment, of a list of moments at which one more of `all` came.
fn curve(mut moments: Vec<f64>, all: usize, end: f64) -> Vec<(f64, f64)> {
    moments.sort_by(f64::total_cmp);
    let all = all.max(1) as f64;
    let stride = moments.len().div_ceil(POINTS).max(1);
    let mut points = vec![(0.0, 0.0)];
    let mut before = 0.0;
    for (count, moment) in (1..).zip(&moments) {
        if count % stride == 0 || count == moments.len() {
            let share = count as f64 / all;
            points.extend([(*moment, before), (*moment, share)]);
            before = share;
        }
    }
    points.push((end, before));
    points
}

/// For each report the share of peers that have everything, and (thin) the share of all pieces that are where they belong, over
/// time; dashed, the shortest possible time.
pub fn plot(reports: &[Report]) -> String {
    let seconds = |report: &Report| report.ended.as_micros() as f64 / 1e6;
    let end = reports.iter().map(|report| seconds(report).max(report.bound())).fold(1.0, f64::max) * 1.02;
    let x = |at: f64| LEFT + (WIDTH - LEFT - RIGHT) * at / end;
    let y = |share: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share;
    let mut svg = String::new();
    let mut put = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    put(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">"
    ));
    put(format!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>"));
    if let Some(report) = reports.first() {
        let o = &report.options;
        put(format!(
            "<text x=\"{LEFT}\" y=\"22\" font-size=\"16\">{} peers, {} seeds: {:.0} MiB in pieces of {} KiB</text>",
            o.peers,
            o.seeds,
            o.size as f64 / f64::from(1 << 20),
            o.piece_length >> 10
        ));
        put(format!(
            "<text x=\"{LEFT}\" y=\"42\" fill=\"#555\">{:.1} Mbit/s up, {:.1} down, {} ms, {} links, seed {}. Thick: peers that have \
             everything; thin: pieces; dashed: the bound</text>",
            o.up as f64 / 125_000.0,
            o.down as f64 / 125_000.0,
            o.latency.as_millis(),
            o.links,
            o.seed
        ));
    }
    let mark = step(end);
    let (bottom, right) = (y(0.0), WIDTH - RIGHT);
    for number in 0..=(end / mark) as u32 {
        let at = f64::from(number) * mark;
        put(format!("<line x1=\"{0:.1}\" y1=\"{TOP}\" x2=\"{0:.1}\" y2=\"{bottom}\" stroke=\"#e4e4e4\"/>", x(at)));
        put(format!("<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{at}</text>", x(at), bottom + 18.0));
    }
    for tenth in 0..=5 {
        let share = f64::from(tenth) / 5.0;
        put(format!("<line x1=\"{LEFT}\" y1=\"{0:.1}\" x2=\"{right}\" y2=\"{0:.1}\" stroke=\"#e4e4e4\"/>", y(share)));
        put(format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{:.0} %</text>",
            LEFT - 8.0,
            y(share) + 4.0,
            share * 100.0
        ));
    }
    put(format!("<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#333\"/>"));
    put(format!(
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">seconds since the first came</text>",
        (LEFT + right) / 2.0,
        HEIGHT - 18.0
    ));
    put(format!(
        "<text x=\"18\" y=\"{0:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {0:.1})\">share</text>",
        (TOP + bottom) / 2.0
    ));
    for (number, report) in reports.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let path = |moments: Vec<f64>, all: usize| {
            let mut path = String::new();
            for (number, (at, share)) in curve(moments, all, seconds(report)).into_iter().enumerate() {
                let _ = write!(path, "{}{:.1} {:.1}", if number == 0 { 'M' } else { 'L' }, x(at), y(share));
            }
            path
        };
        let micros = |at: parcacik_core::time::Time| at.as_micros() as f64 / 1e6;
        let peers = report.leeches().count();
        let pieces = report.options.size.div_ceil(u64::from(report.options.piece_length)) as usize;
        let got = path(report.pieces.iter().map(|&at| micros(at)).collect(), pieces * peers);
        let whole = path(report.leeches().filter_map(|peer| peer.finished).map(micros).collect(), peers);
        put(format!("<path d=\"{got}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1\"/>"));
        put(format!("<path d=\"{whole}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"/>"));
        let bound = x(report.bound());
        put(format!(
            "<line x1=\"{bound:.1}\" y1=\"{TOP}\" x2=\"{bound:.1}\" y2=\"{bottom}\" stroke=\"#333\" stroke-dasharray=\"6 4\"/>"
        ));
        let line = TOP + 20.0 + 20.0 * number as f64;
        put(format!(
            "<line x1=\"{}\" y1=\"{line}\" x2=\"{}\" y2=\"{line}\" stroke=\"{colour}\" stroke-width=\"2.5\"/>",
            LEFT + 14.0,
            LEFT + 40.0
        ));
        let efficiency =
            report.efficiency().map_or_else(|| "not all done".to_owned(), |it| format!("efficiency {it:.3}"));
        put(format!(
            "<text x=\"{}\" y=\"{}\">{}: {efficiency}</text>",
            LEFT + 48.0,
            line + 4.0,
            report.options.policy.name()
        ));
    }
    put("</svg>".to_owned());
    svg
}
