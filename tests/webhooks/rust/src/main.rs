//! Verifies requests with the libraries that receivers in Rust use. Reads JSON from stdin,
//! `[{secret, headers, body}, …]`, and prints for each library which ones it accepts.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Request {
    secret: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Request {
    fn headers(&self) -> HeaderMap {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn standardwebhooks(&self) -> bool {
        let webhook = standardwebhooks::Webhook::new(&self.secret).unwrap();
        webhook.verify(self.body.as_bytes(), &self.headers()).is_ok()
    }

    fn svix(&self) -> bool {
        let webhook = svix::webhooks::Webhook::new(&self.secret).unwrap();
        webhook.verify(self.body.as_bytes(), &self.headers()).is_ok()
    }
}

fn main() {
    let requests: Vec<Request> = serde_json::from_reader(std::io::stdin()).unwrap();
    let accepted =
        |accepts: fn(&Request) -> bool| -> Vec<bool> { requests.iter().map(accepts).collect() };
    let standardwebhooks = accepted(Request::standardwebhooks);
    let svix = accepted(Request::svix);
    println!("{}", json!({ "standardwebhooks": standardwebhooks, "svix": svix }));
}
