//! Questions: to a person at a terminal, or answered by flags alone.

use std::io::IsTerminal as _;

use dialoguer::theme::ColorfulTheme;
use dialoguer::{Confirm, Input, Password, Select};

use crate::cli::exit::Failure;
use crate::cli::output;

/// How often a person may answer wrongly before it is called off; nobody gets there by typing.
const TRIES_MAX: u32 = 5;

/// Who is asked.
pub(super) struct Asker {
    /// None when flags answer everything.
    theme: Option<ColorfulTheme>,
    tries_left: std::cell::Cell<u32>,
}

/// An answer by flag, and the one that holds now.
type Known<'a> = (Option<String>, Option<&'a str>);

impl Asker {
    /// Finds somebody to ask.
    pub(super) fn new(yes: bool) -> Result<Self, Failure> {
        let is_there = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !yes && !is_there {
            return Err(Failure::Usage(
                "there is no terminal to ask questions on; in a script answer them with --yes and flags (fieldtape setup --help)"
                    .to_owned(),
            ));
        }
        let theme = (!yes).then(ColorfulTheme::default);
        Ok(Self { theme, tries_left: std::cell::Cell::new(TRIES_MAX) })
    }

    /// Says what comes next.
    pub(super) fn head(&self, what: &str) -> Result<(), Failure> {
        if self.theme.is_some() { output::line(&format!("\n== {what}")) } else { Ok(()) }
    }

    /// Says whether there is a person.
    pub(super) fn is_person(&self) -> bool {
        self.theme.is_some()
    }

    /// Asks for a text that should be there; none if flags answer and none does.
    pub(super) fn text(
        &self,
        question: &str,
        (given, known): Known<'_>,
        check: impl Fn(&str) -> Result<(), String> + Clone,
    ) -> Result<Option<String>, Failure> {
        if let Some(given) = given {
            return checked(question, &given, check).map(Some);
        }
        let Some(theme) = &self.theme else { return Ok(known.map(str::to_owned)) };
        let mut input = Input::<String>::with_theme(theme).with_prompt(question);
        if let Some(known) = known {
            input = input.default(known.to_owned());
        }
        let input = input.validate_with(move |text: &String| check(text.trim()));
        let text = input.interact_text().map_err(|error| called_off(&error))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// Asks for a text that may be empty; none if it is.
    pub(super) fn optional(
        &self,
        question: &str,
        (given, known): Known<'_>,
        check: impl Fn(&str) -> Result<(), String> + Clone,
    ) -> Result<Option<String>, Failure> {
        if let Some(given) = given {
            return checked(question, &given, check).map(Some);
        }
        let Some(theme) = &self.theme else { return Ok(None) };
        let mut input = Input::<String>::with_theme(theme).with_prompt(question).allow_empty(true);
        if let Some(known) = known {
            input = input.default(known.to_owned());
        }
        let input = input.validate_with(move |text: &String| match text.trim() {
            "" => Ok(()),
            text => check(text),
        });
        let text = input.interact_text().map_err(|error| called_off(&error))?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    /// Asks for a text and proposes one, which can be emptied; none leaves things as they are.
    pub(super) fn proposed(
        &self,
        question: &str,
        (given, proposal): (Option<String>, &str),
    ) -> Result<Option<String>, Failure> {
        if given.is_some() {
            return Ok(given);
        }
        let Some(theme) = &self.theme else { return Ok(None) };
        let input = Input::<String>::with_theme(theme).with_prompt(question).allow_empty(true);
        let input = input.with_initial_text(proposal);
        let text = input.interact_text().map_err(|error| called_off(&error))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// Asks for a secret, which is not shown; none if nothing is typed.
    pub(super) fn secret(&self, question: &str) -> Result<Option<String>, Failure> {
        let Some(theme) = &self.theme else { return Ok(None) };
        let password = Password::with_theme(theme).with_prompt(question).allow_empty_password(true);
        let text = password.interact().map_err(|error| called_off(&error))?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    /// Asks which; none if flags answer.
    pub(super) fn which(
        &self,
        question: &str,
        (items, default): (&[String], usize),
    ) -> Result<Option<usize>, Failure> {
        let Some(theme) = &self.theme else { return Ok(None) };
        let select = Select::with_theme(theme).with_prompt(question).items(items).default(default);
        select.interact().map(Some).map_err(|error| called_off(&error))
    }

    /// Asks yes or no; flags have said yes.
    pub(super) fn confirm(&self, question: &str, default: bool) -> Result<bool, Failure> {
        let Some(theme) = &self.theme else { return Ok(true) };
        let confirm = Confirm::with_theme(theme).with_prompt(question).default(default);
        confirm.interact().map_err(|error| called_off(&error))
    }

    /// Tells what is wrong with an answer that is asked for once more; there is nobody to ask where
    /// flags answer.
    pub(super) fn again(&self, wrong: &str) -> Result<(), Failure> {
        let left = self.tries_left.get().saturating_sub(1);
        self.tries_left.set(left);
        if self.theme.is_none() || left == 0 {
            return Err(Failure::Failed(format!("{wrong}; nothing was changed")));
        }
        output::error(wrong);
        Ok(())
    }

    /// Asks whether to go on without something that is missing; where flags answer that ends it.
    pub(super) fn go_on_without(&self, missing: &str, hint: &str) -> Result<(), Failure> {
        if self.theme.is_none() {
            return Err(Failure::Failed(format!("{missing}; nothing was changed; {hint}")));
        }
        output::error(missing);
        if self.confirm("Go on without it?", true)? {
            return Ok(());
        }
        Err(Failure::Failed("nothing was changed".to_owned()))
    }
}

fn checked(
    question: &str,
    given: &str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<String, Failure> {
    match check(given.trim()) {
        Ok(()) => Ok(given.trim().to_owned()),
        Err(wrong) => Err(Failure::Usage(format!("{question}: {given:?}: {wrong}"))),
    }
}

fn called_off(error: &dialoguer::Error) -> Failure {
    Failure::Failed(format!("called off ({error}); nothing was changed"))
}
