//! The distribution of the times to the first peer, as a picture (SVG).

use super::{Measured, Report};
use std::fmt::Write;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 60.0;
/// From 20 ms to 20 s, a decade in equal steps.
const FROM: f64 = 20.0;
const TO: f64 = 20_000.0;

impl Report {
    /// For each kind of lookup, which share of them has found a peer by which time.
    pub fn plot(&self, title: &str) -> String {
        let x = |millis: f64| LEFT + (WIDTH - LEFT - RIGHT) * (millis / FROM).ln() / (TO / FROM).ln();
        let y = |share: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share;
        let mut svg = String::new();
        let mut put = |text: String| {
            svg.push_str(&text);
            svg.push('\n');
        };
        put(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">"
        ));
        put(format!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>"));
        put(format!("<text x=\"{LEFT}\" y=\"24\" font-size=\"16\">{title}</text>"));
        for tenth in 0..=10 {
            let (share, at) = (f64::from(tenth) / 10.0, y(f64::from(tenth) / 10.0));
            put(format!(
                "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{:.0} %</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                share * 100.0
            ));
        }
        for millis in [20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0] {
            let at = x(millis);
            put(format!(
                "<path d=\"M{at:.1} {TOP}V{:.1}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{millis:.0}</text>",
                HEIGHT - BOTTOM,
                HEIGHT - BOTTOM + 20.0
            ));
        }
        put(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">ms until the first peer was told of</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 16.0
        ));
        for (n, (name, colour, all)) in [
            ("ours", "#1f4e9c", &self.ours),
            ("plain Kademlia", "#d1690e", &self.plain),
            ("plain, with our contacts", "#2c8a4b", &self.plain_start),
        ]
        .into_iter()
        .enumerate()
        {
            let mut path = format!("M{:.1} {:.1}", x(FROM), y(0.0));
            let mut times: Vec<f64> =
                all.iter().filter_map(|one| one.first).map(|first| first.as_secs_f64() * 1000.0).collect();
            times.sort_by(f64::total_cmp);
            let count = all.len().max(1) as f64;
            for (place, millis) in (1..).zip(&times) {
                // Writing to a string cannot fail.
                let _ = write!(path, "H{:.1}V{:.1}", x(millis.clamp(FROM, TO)), y(f64::from(place) / count));
            }
            let _ = write!(path, "H{:.1}", x(TO));
            put(format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
            let millis = |at| Measured::first_at(all, at).as_millis();
            let legend = format!("{name}: median {} ms, 99 % {} ms", millis(500), millis(990));
            let below = 48.0 + 17.0 * n as f64;
            put(format!("<text x=\"{:.1}\" y=\"{below}\" fill=\"{colour}\">{legend}</text>", LEFT + 20.0));
        }
        put("</svg>".to_owned());
        svg
    }
}
