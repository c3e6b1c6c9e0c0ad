//! Numbers as small bars.

const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Draws numbers as bars beside each other, from the least to the greatest. Equal numbers are low.
pub(crate) fn sparkline(numbers: &[f64]) -> String {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let height = |number: &f64| {
        let share = if most > least { (number - least) / (most - least) } else { 0.0 };
        // A float to integer cast is saturating, and NaN is 0.
        HEIGHTS[((share * 7.0).round() as usize).min(7)]
    };
    numbers.iter().map(height).collect()
}

/// Draws a number as a bar of at most this many columns, to the eighth of one. What is not nothing can
/// be seen.
pub(crate) fn bar(number: f64, most: f64, width: usize) -> String {
    let share = if most > 0.0 { (number / most).clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * width as f64 * 8.0).round() as usize;
    let eighths = if number > 0.0 { eighths.max(1) } else { eighths };
    let mut bar = "█".repeat(eighths / 8);
    if let Some(part) = (eighths % 8).checked_sub(1) {
        bar.push(EIGHTHS[part]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_numbers_are_large() {
        assert_eq!(sparkline(&[0.0, 7.0, 3.0]), "▁█▄");
        assert_eq!(sparkline(&[5.0, 5.0]), "▁▁");
        assert_eq!(bar(10.0, 10.0, 4), "████");
        assert_eq!(bar(5.0, 10.0, 3), "█▌");
        assert_eq!(bar(0.001, 10.0, 4), "▏");
        assert_eq!(bar(0.0, 10.0, 4), "");
        assert_eq!(bar(1.0, 0.0, 4), "▏");
    }
}
