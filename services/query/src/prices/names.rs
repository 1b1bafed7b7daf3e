//! What people call services, engines and plans.

use std::collections::{BTreeMap, BTreeSet};

use tollbooth_schemas::price_book::PriceBook;

/// Names from all price books; where they differ, those of the highest version. An old entry keeps its name when a newer
/// book does not have its engine any more.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Names {
    services: BTreeMap<String, String>,
    engines: BTreeMap<String, String>,
    plans: BTreeMap<String, String>,
    work: BTreeSet<(String, String)>,
}

impl Names {
    /// The names of these books, ascending by version.
    pub(super) fn of<'a>(books: impl Iterator<Item = &'a PriceBook>) -> Self {
        let mut names = Self::default();
        for book in books {
            let named = |list: &[tollbooth_schemas::price_book::Named]| -> Vec<(String, String)> {
                list.iter().map(|named| (named.code.clone(), named.name.clone())).collect()
            };
            names.services.extend(named(&book.services));
            names.engines.extend(named(&book.engines));
            names.plans.extend(book.plans.iter().map(|plan| (plan.code.clone(), plan.name.clone())));
            names.work.extend(book.prices.iter().map(|price| (price.service.clone(), price.engine.clone())));
        }
        names
    }

    /// Every service and engine that ever had a price together.
    pub fn all_work(&self) -> impl Iterator<Item = (&str, &str)> {
        self.work.iter().map(|(service, engine)| (service.as_str(), engine.as_str()))
    }

    /// A service; its code where no book names it.
    #[must_use]
    pub fn service<'a>(&'a self, code: &'a str) -> &'a str {
        self.services.get(code).map_or(code, String::as_str)
    }

    /// An engine; its code where no book names it.
    #[must_use]
    pub fn engine<'a>(&'a self, code: &'a str) -> &'a str {
        self.engines.get(code).map_or(code, String::as_str)
    }

    /// A plan; its code where no book names it.
    #[must_use]
    pub fn plan<'a>(&'a self, code: &'a str) -> &'a str {
        self.plans.get(code).map_or(code, String::as_str)
    }

    /// Codes of the services whose names have `part`, which is lower case as far as ASCII goes.
    #[must_use]
    pub fn services_called(&self, part: &str) -> BTreeSet<&str> {
        called(&self.services, part)
    }

    /// Codes of the engines whose names have `part`, which is lower case as far as ASCII goes.
    #[must_use]
    pub fn engines_called(&self, part: &str) -> BTreeSet<&str> {
        called(&self.engines, part)
    }

    /// `AI Modify (Nano Banana 2)`, or the longer one alone where one holds the other: `AI Draw Me`, not `AI Draw Me (Draw
    /// Me)`. `None` where there is no service.
    #[must_use]
    pub fn work(&self, service: &str, engine: &str) -> Option<String> {
        if service.is_empty() {
            return None;
        }
        let (service, engine) = (self.service(service), self.engine(engine));
        let holds = |long: &str, short: &str| long.to_lowercase().contains(&short.to_lowercase());
        if holds(service, engine) {
            Some(service.to_owned())
        } else if holds(engine, service) {
            Some(engine.to_owned())
        } else {
            Some(format!("{service} ({engine})"))
        }
    }
}

fn called<'a>(names: &'a BTreeMap<String, String>, part: &str) -> BTreeSet<&'a str> {
    let having = names.iter().filter(|(_, name)| name.to_ascii_lowercase().contains(part));
    having.map(|(code, _)| code.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_called_what_people_call_it() {
        let pairs = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let names = Names {
            services: pairs(&[("ai_modify", "AI Modify"), ("ai_draw_me", "AI Draw Me"), ("sms", "SMS")]),
            engines: pairs(&[
                ("nano_banana_2", "Nano Banana 2"),
                ("draw_me", "Draw Me"),
                ("sms_intl", "SMS International"),
            ]),
            ..Names::default()
        };
        for (service, engine, name) in [
            ("ai_modify", "nano_banana_2", Some("AI Modify (Nano Banana 2)")),
            ("ai_draw_me", "draw_me", Some("AI Draw Me")),
            ("sms", "sms_intl", Some("SMS International")),
            ("gone", "engine", Some("gone (engine)")),
            ("ai_modify", "", Some("AI Modify")),
            ("", "", None),
        ] {
            assert_eq!(names.work(service, engine).as_deref(), name, "{service} {engine}");
        }
    }
}
