//! Aligned columns, for people; programs ask for JSON.

use std::fmt;

use super::screen::{Colour, Paint, clean_cell};

/// awk. The last column is as long as it is.
#[derive(Debug)]
pub struct Table {
    paint: Paint,
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug)]
struct Cell {
    text: String,
    colour: Option<Colour>,
}

impl Table {
    pub(super) fn new(paint: Paint, header: &[&'static str]) -> Self {
        Self { paint, header: header.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cell = |text: String| Cell { text: clean_cell(&text), colour: None };
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// Colours a cell of the last row.
    pub(super) fn colour(&mut self, column: usize, colour: Colour) {
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.get_mut(column)) {
            cell.colour = Some(colour);
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0);
            widest.max(self.header[column].len())
        };
        let widths: Vec<_> = (0..self.header.len()).map(width).collect();
        let mut line = |cells: &mut dyn Iterator<Item = (&str, Option<Colour>)>| -> fmt::Result {
            let mut padding = 0;
            for (column, (text, colour)) in cells.enumerate() {
                write!(f, "{:padding$}", "")?;
                match colour {
                    Some(colour) => f.write_str(&self.paint.paint(colour, text))?,
                    None => f.write_str(text)?,
                }
                padding = widths[column] - text.chars().count() + 2;
            }
            writeln!(f)
        };
        line(&mut self.header.iter().map(|name| (*name, Some(Colour::Bold))))?;
        for row in &self.rows {
            line(&mut row.iter().map(|cell| (cell.text.as_str(), cell.colour)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_blanks() {
        let mut table = Table::new(Paint::NEVER, &["NAME", "STATUS", "ERROR"]);
        table.row(["größe".into(), "dead".into(), "a\nb".into()]);
        table.row(["x".into(), "succeeded".into(), "-".into()]);
        assert_eq!(
            table.to_string(),
            "NAME   STATUS     ERROR\n\
             größe  dead       a\\nb\n\
             x      succeeded  -\n"
        );
    }

    #[test]
    fn colours_do_not_shift_columns() {
        let mut table = Table::new(Paint::ALWAYS, &["A", "B"]);
        table.row(["dead".into(), "x".into()]);
        table.colour(0, Colour::Red);
        let expect = "\u{1b}[1mA\u{1b}[0m     \u{1b}[1mB\u{1b}[0m\n\u{1b}[31mdead\u{1b}[0m  x\n";
        assert_eq!(table.to_string(), expect);
    }
}
