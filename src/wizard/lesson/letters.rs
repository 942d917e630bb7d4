//! Letters for the back row: five points high, drawn with half blocks, two points to a cell.

use ratatui::style::Style;

use super::super::theme::Theme;
use super::super::widgets::{Page, Row};

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

/// Lines of letters. Where one is too long for the columns it is broken between words, and where there are too few rows it is
/// plain text.
#[must_use]
pub fn page(lines: &[String], (columns, room): (usize, usize), style: Style, theme: Theme) -> Page {
    let fits = |text: &str| wide(text) <= columns;
    let mut broken: Vec<String> = Vec::new();
    for line in lines {
        let mut now = String::new();
        for word in line.split(' ') {
            let longer = if now.is_empty() {
                word.to_owned()
            } else {
                format!("{now} {word}")
            };
            if !now.is_empty() && !fits(&longer) {
                broken.push(std::mem::replace(&mut now, word.to_owned()));
            } else {
                now = longer;
            }
        }
        broken.push(now);
    }
    let mut page = Page::default();
    for (index, line) in broken.iter().enumerate() {
        if index > 0 {
            page.row(Row::default());
        }
        // Parts of one line are of one size.
        let columns = if broken.len() > lines.len() {
            wide(line)
        } else {
            columns
        };
        for row in rows(line, columns, theme) {
            page.text(row, style);
        }
    }
    if page.height() <= room && broken.iter().all(|line| fits(line)) {
        return page;
    }
    let mut page = Page::default();
    for line in lines {
        page.words(line, columns, 0, style);
    }
    page
}

/// Columns of a text at its smallest.
fn wide(text: &str) -> usize {
    text.chars().map(|letter| points(letter)[0].len() + 1).sum()
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
