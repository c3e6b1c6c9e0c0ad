//! The text of a token, which the gateway makes from a key to read.

use crate::api_key::{Lettered, Secret};

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenKind {
    /// A browser that signed in, by its cookie.
    Session,
    /// A link that shows a part of the reports.
    Share,
}

impl TokenKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            TokenKind::Session => "session",
            TokenKind::Share => "share",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl Lettered for TokenKind {
    const ALL: &[Self] = &[TokenKind::Session, TokenKind::Share];

    fn letter(self) -> &'static str {
        match self {
            TokenKind::Session => "s",
            // For "view"; r and w are keys.
            TokenKind::Share => "v",
        }
    }
}

/// A token, `el_s_<id>_<secret>` or `el_v_<id>_<secret>`, which is sent once.
pub(crate) type ApiToken = Secret<TokenKind>;

#[cfg(test)]
mod tests {
    use super::{ApiToken, TokenKind};
    use crate::api_key::{ApiKey, Kind};

    #[test]
    fn tokens_and_keys_are_not_taken_for_each_other() {
        let token = ApiToken::generate(TokenKind::Session).unwrap();
        let read = ApiToken::parse(&token.text()).expect("the text of a token is read back");
        assert!(read.kind == TokenKind::Session && read.hash() == token.hash());
        assert!(ApiKey::parse(&token.text()).is_none());
        let share = ApiToken::generate(TokenKind::Share).unwrap();
        assert!(share.text().starts_with("el_v_") && ApiKey::parse(&share.text()).is_none());
        assert!(ApiToken::parse(&ApiKey::generate(Kind::Read).unwrap().text()).is_none());
    }
}
