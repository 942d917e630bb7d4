//! Letters for the back row: five points high, drawn with half blocks, two points to a cell.

use super::super::theme::Theme;

/// Rows of cells that a line of letters takes, without magnification.
pub const ROWS: usize = 3;
/// Points of a letter's height.
const HIGH: usize = 5;

/// A letter's points, row by row; a blank is no point.
fn points(letter: char) -> [&'static str; HIGH] {
    match letter.to_ascii_uppercase() {
        'A' => [" # ", "# #", "###", "# #", "# #"],
        'B' => ["## ", "# #", "## ", "# #", "## "],
        'C' => [" ##", "#  ", "#  ", "#  ", " ##"],
        'D' => ["## ", "# #", "# #", "# #", "## "],
        'E' => ["###", "#  ", "## ", "#  ", "###"],
        'F' => ["###", "#  ", "## ", "#  ", "#  "],
        'G' => [" ##", "#  ", "# #", "# #", " ##"],
        'H' => ["# #", "# #", "###", "# #", "# #"],
        'I' => ["#", "#", "#", "#", "#"],
        'J' => ["  #", "  #", "  #", "# #", " # "],
        'K' => ["# #", "# #", "## ", "# #", "# #"],
        'L' => ["#  ", "#  ", "#  ", "#  ", "###"],
        'M' => ["#   #", "## ##", "# # #", "#   #", "#   #"],
        'N' => ["#  #", "## #", "# ##", "#  #", "#  #"],
        'O' | '0' => [" # ", "# #", "# #", "# #", " # "],
        'P' => ["## ", "# #", "## ", "#  ", "#  "],
        'Q' => [" # ", "# #", "# #", "## ", " ##"],
        'R' => ["## ", "# #", "## ", "# #", "# #"],
        'S' => [" ##", "#  ", " # ", "  #", "## "],
        'T' => ["###", " # ", " # ", " # ", " # "],
        'U' => ["# #", "# #", "# #", "# #", "###"],
        'V' => ["# #", "# #", "# #", "# #", " # "],
        'W' => ["#   #", "#   #", "# # #", "## ##", "#   #"],
        'X' => ["# #", "# #", " # ", "# #", "# #"],
        'Y' => ["# #", "# #", " # ", " # ", " # "],
        'Z' => ["###", "  #", " # ", "#  ", "###"],
        '1' => ["# ", "# ", "# ", "# ", "# "],
        '2' => ["## ", "  #", " # ", "#  ", "###"],
        '3' => ["## ", "  #", " # ", "  #", "## "],
        '4' => ["# #", "# #", "###", "  #", "  #"],
        '5' => ["###", "#  ", "## ", "  #", "## "],
        '6' => [" ##", "#  ", "###", "# #", "###"],
        '7' => ["###", "  #", " # ", " # ", " # "],
        '8' => ["###", "# #", "###", "# #", "###"],
        '9' => ["###", "# #", "###", "  #", "## "],
        ':' => [" ", "#", " ", "#", " "],
        '.' => [" ", " ", " ", " ", "#"],
        ',' => ["  ", "  ", "  ", " #", "# "],
        '-' => ["  ", "  ", "##", "  ", "  "],
        _ => ["  ", "  ", "  ", "  ", "  "],
    }
}

/// A text in rows of cells, at most so many columns wide, as large as fits.
#[must_use]
pub fn rows(text: &str, columns: usize, theme: Theme) -> Vec<String> {
    let mut grid: Vec<Vec<bool>> = vec![Vec::new(); HIGH];
    for letter in text.chars() {
        for (row, points) in grid.iter_mut().zip(points(letter)) {
            row.extend(points.chars().map(|point| point == '#'));
            row.push(false);
        }
    }
    let wide = grid[0].len();
    let scale = (columns / wide.max(1)).clamp(1, 3);
    let scaled: Vec<Vec<bool>> = grid
        .iter()
        .flat_map(|row| {
            let row: Vec<bool> = row
                .iter()
                .flat_map(|point| std::iter::repeat_n(*point, scale))
                .collect();
            std::iter::repeat_n(row, scale)
        })
        .collect();
    if !theme.unicode {
        // Without half blocks a point is a cell high, so the letters stay narrow and tall.
        return grid
            .iter()
            .map(|row| row.iter().map(|point| if *point { '#' } else { ' ' }).collect())
            .collect();
    }
    scaled
        .chunks(2)
        .map(|pair| {
            let below = pair.get(1);
            pair[0]
                .iter()
                .enumerate()
                .map(|(at, above)| {
                    let below = below.is_some_and(|row| row[at]);
                    match (above, below) {
                        (true, true) => '█',
                        (true, false) => '▀',
                        (false, true) => '▄',
                        (false, false) => ' ',
                    }
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::demo::Scene;

    #[test]
    fn every_scene_can_be_read_from_the_back_row_of_a_small_screen() {
        for scene in Scene::ALL {
            for line in &scene.text().big {
                let rows = rows(line, 78, Theme::FULL);
                assert!(rows.len() >= ROWS);
                assert!(
                    rows[0].chars().count() <= 78,
                    "{line}: {}",
                    rows[0].chars().count()
                );
                for letter in line.chars().filter(|letter| *letter != ' ') {
                    assert!(points(letter).concat().contains('#'), "{letter:?} is not drawn");
                }
            }
        }
    }
}
