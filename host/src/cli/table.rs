//! Tables for terminals: columns as wide as their widest cell.

/// A heading and its rows.
pub(super) fn table<const N: usize>(heading: &[&str; N], rows: &[[String; N]]) -> String {
    let heading = heading.map(str::to_owned);
    let all = || std::iter::once(&heading).chain(rows);
    let widths: Vec<_> = (0..N).map(|column| all().map(|row| row[column].len()).max().unwrap_or_default()).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    all().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["long name".to_owned(), "1".to_owned()], ["b".to_owned(), "200".to_owned()]];
        assert_eq!(table(&["A", "COUNT"], &rows), "A          COUNT\nlong name  1\nb          200\n");
    }
}
