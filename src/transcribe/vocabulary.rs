//! Names and part numbers to expect, on their way to the model.

/// Writes a vocabulary as the engine is given it: a name a line.
pub(crate) fn prompt(vocabulary: &[String]) -> String {
    let line = |name: &String| name.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = vocabulary.iter().map(line).filter(|name| !name.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_a_line_whatever_is_in_it() {
        let names = ["River\nRoad", " ", "HX-4070, rev. B"].map(str::to_owned);
        assert_eq!(prompt(&names), "River Road\nHX-4070, rev. B");
    }
}
