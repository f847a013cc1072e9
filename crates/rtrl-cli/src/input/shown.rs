//! Names and cells, short enough for messages.

/// Most characters of a cell or a name in a message.
const MOST_SHOWN: usize = 60;

/// Most names in a message.
const MOST_NAMES: usize = 20;

/// A text that is short enough for a message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Names for a message, their control characters escaped.
pub(crate) fn listed(names: &[String]) -> Vec<String> {
    let shown = |name: &String| -> String {
        let escaped = |character: char| {
            if character.is_control() {
                character.escape_default().to_string()
            } else {
                character.to_string()
            }
        };
        shortened(name).chars().map(escaped).collect()
    };
    let mut listed: Vec<String> = names.iter().take(MOST_NAMES).map(shown).collect();
    if names.len() > MOST_NAMES {
        listed.push(format!("{} more", names.len() - MOST_NAMES));
    }
    listed
}
