//! The text of a token, which the gateway makes from a key to read.

use crate::api_key::Secret;

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenKind {
    /// A browser that signed in, by its cookie.
    Session,
    /// A link that shows a part of the reports.
    Share,
}

impl TokenKind {
    const ALL: [Self; 2] = [TokenKind::Session, TokenKind::Share];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            TokenKind::Session => "session",
            TokenKind::Share => "share",
        }
    }

    const fn letter(self) -> &'static str {
        match self {
            TokenKind::Session => "s",
            // For "view"; r and w are keys.
            TokenKind::Share => "v",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A token, `el_s_<id>_<secret>` or `el_v_<id>_<secret>`. Not `Debug`: the secret is sent once.
pub(crate) struct ApiToken {
    pub(crate) kind: TokenKind,
    secret: Secret,
}

impl ApiToken {
    pub(crate) fn generate(kind: TokenKind) -> Result<Self, getrandom::Error> {
        Ok(ApiToken { kind, secret: Secret::generate()? })
    }

    /// Reads the text of a token.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (letter, secret) = Secret::parse(text)?;
        let kind = TokenKind::ALL.into_iter().find(|kind| kind.letter() == letter)?;
        Some(ApiToken { kind, secret })
    }

    /// Returns the public part of the token: hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        &self.secret.id
    }

    pub(crate) fn text(&self) -> String {
        self.secret.text(self.kind.letter())
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        self.secret.hash()
    }
}

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
