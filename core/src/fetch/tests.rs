use super::*;
use alloc::format;
use alloc::vec;

const NOW: Time = Time::from_secs(5);

fn begin(url: &str) -> (Fetch, Work) {
    Fetch::begin(NOW, url, FetchOptions::default()).unwrap()
}

fn refused(url: &str) -> FetchError {
    Fetch::begin(NOW, url, FetchOptions::default()).unwrap_err()
}

fn ips(list: &[&str]) -> Result<JobResult, IoFault> {
    Ok(JobResult::Resolved(list.iter().map(|ip| ip.parse().unwrap()).collect()))
}

fn answer(status: u16, location: Option<&str>) -> Result<JobResult, IoFault> {
    let location = location.map(Into::into);
    Ok(JobResult::Http(HttpResponse { status, location, retry_after: Some(7), body: "body".into() }))
}

fn to(step: &FetchStep) -> &HttpRequest {
    match step {
        FetchStep::Work(Work::Http(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn failed(step: FetchStep) -> FetchError {
    match step {
        FetchStep::Failed(error) => error,
        other => panic!("{other:?}"),
    }
}

/// A fetch whose first answer, from `from`, is a redirect to `location`; the host names in it have the address `second`.
fn redirected(first: &str, from: &str, location: &str, second: &str) -> FetchStep {
    let (mut fetch, _) = begin(first);
    fetch.done(NOW, ips(&[from]));
    match fetch.done(NOW, answer(302, Some(location))) {
        FetchStep::Work(Work::Resolve { .. }) => fetch.done(NOW, ips(&[second])),
        step => step,
    }
}

#[test]
fn a_name_is_looked_up_and_its_addresses_are_tried_in_turn() {
    let options = FetchOptions { user_agent: Some("agent".into()), ..FetchOptions::default() };
    let (mut fetch, work) = Fetch::begin(NOW, "https://Torrents.Example/a/b.torrent?key=1#part", options).unwrap();
    assert_eq!(work, Work::Resolve { host: "torrents.example".into() });
    let step = fetch.done(NOW, ips(&["8.8.8.8", "2001:4860::1"]));
    assert_eq!(
        to(&step),
        &HttpRequest {
            to: "8.8.8.8:443".parse().unwrap(),
            tls: true,
            host: "torrents.example".into(),
            port: 443,
            path: "/a/b.torrent?key=1".into(),
            user_agent: Some("agent".into()),
            from: None,
            body_limit: 64 << 20,
            time_limit: Duration::from_secs(120),
        }
    );
    let later = NOW + Duration::from_secs(20);
    let step = fetch.done(later, Err(IoFault::Refused));
    assert_eq!((to(&step).to, to(&step).time_limit), ("[2001:4860::1]:443".parse().unwrap(), Duration::from_secs(100)));
    let FetchStep::Got(got) = fetch.done(later, answer(200, None)) else { panic!() };
    assert_eq!((&got.bytes[..], got.url.as_str()), (&b"body"[..], "https://torrents.example/a/b.torrent?key=1"));
    // It has ended.
    assert_eq!(failed(fetch.done(later, answer(200, None))), FetchError::WrongResult);
}

#[test]
fn the_last_fault_ends_it() {
    let (mut fetch, _) = begin("http://a.example/t");
    fetch.done(NOW, ips(&["8.8.8.8", "8.8.4.4"]));
    fetch.done(NOW, Err(IoFault::TimedOut));
    let error = failed(fetch.done(NOW, Err(IoFault::Refused)));
    assert_eq!(error, FetchError::Io { host: "a.example".into(), fault: IoFault::Refused });

    let (mut fetch, _) = begin("http://a.example/t");
    let error = failed(fetch.done(NOW, Err(IoFault::NotFound)));
    assert_eq!(error.to_string(), "there is no host a.example");
}

#[test]
fn what_every_address_would_say_is_not_asked_twice() {
    for fault in [IoFault::TooLarge, IoFault::Untrusted] {
        let (mut fetch, _) = begin("https://a.example/t");
        fetch.done(NOW, ips(&["8.8.8.8", "8.8.4.4"]));
        assert_eq!(failed(fetch.done(NOW, Err(fault))), FetchError::Io { host: "a.example".into(), fault });
    }
}

#[test]
fn the_user_may_name_any_place() {
    for url in [
        "http://127.0.0.1/t",
        "http://[::1]:22/t?x",
        "http://192.168.1.1/t",
        "http://169.254.1.1:25/t",
        "https://10.0.0.1/",
    ] {
        assert!(matches!(begin(url).1, Work::Http(_)), "{url}");
    }
    let (mut fetch, _) = begin("http://nas.example/t?x=1");
    to(&fetch.done(NOW, ips(&["192.168.1.7"])));
    // In Punycode, which is what is looked up and shown.
    assert_eq!(begin("http://bücher.example/").1, Work::Resolve { host: "xn--bcher-kva.example".into() });
    for (url, words) in [
        ("http://0.0.0.0/t", "no address"),
        ("http://224.0.0.1/t", "no address"),
        ("udp://a.example:1/announce", "only http"),
        ("ftp://a.example/t", "does not begin"),
        ("http://user:word@a.example/t", "password"),
        ("http://a.example:0/t", "port"),
        ("http:///t", "host"),
        ("", "empty"),
    ] {
        assert!(refused(url).to_string().contains(words), "{url}: {}", refused(url));
    }
}

#[test]
fn redirects_are_followed_relative_ones_too() {
    let step = redirected("http://a.example/x/y?q", "8.8.8.8", "../z.torrent", "8.8.8.8");
    assert_eq!(to(&step).path, "/z.torrent");
    let step = redirected("http://a.example/x", "8.8.8.8", "https://b.example/z", "8.8.4.4");
    assert_eq!((to(&step).to, to(&step).tls), ("8.8.4.4:443".parse().unwrap(), true));
}

#[test]
fn a_redirect_from_the_internet_does_not_lead_into_a_private_network() {
    for (location, address) in [
        ("http://b.example/", "127.0.0.1"),
        ("http://b.example/", "192.168.1.1"),
        ("http://b.example/", "169.254.169.254"),
        ("http://b.example/", "::1"),
        ("http://b.example/", "::ffff:10.0.0.1"),
        ("http://b.example/", "fd00::1"),
        ("http://127.0.0.1/", ""),
        ("http://[fe80::1]/", ""),
        ("//10.1.2.3/x", ""),
    ] {
        let error = failed(redirected("http://a.example/", "8.8.8.8", location, address));
        let FetchError::Refused { refusal, .. } = &error else { panic!("{location} {address}: {error}") };
        assert_eq!(*refusal, Refusal::FromGlobalToLocal, "{location} {address}");
    }
    // A host with addresses of both kinds is asked at those that are allowed.
    let (mut fetch, _) = begin("http://a.example/");
    fetch.done(NOW, ips(&["8.8.8.8"]));
    fetch.done(NOW, answer(301, Some("http://b.example/")));
    let step = fetch.done(NOW, ips(&["127.0.0.1", "8.8.4.4"]));
    assert_eq!(to(&step).to, "8.8.4.4:80".parse().unwrap());
}

#[test]
fn being_on_the_internet_once_counts_for_all_later_hops() {
    let (mut fetch, _) = begin("http://192.168.1.1/");
    fetch.done(NOW, answer(302, Some("http://8.8.8.8/")));
    let error = failed(fetch.done(NOW, answer(302, Some("http://192.168.1.1/"))));
    assert!(matches!(error, FetchError::Refused { refusal: Refusal::FromGlobalToLocal, .. }), "{error}");
}

#[test]
fn in_ones_own_network_redirects_may_lead_around() {
    let step = redirected("http://nas.example/", "192.168.1.1", "http://127.0.0.1:8080/t?key=1", "");
    assert_eq!(to(&step).path, "/t?key=1");
    // But not to other services.
    let error = failed(redirected("http://nas.example/", "192.168.1.1", "http://192.168.1.2:25/", ""));
    assert!(matches!(error, FetchError::Refused { refusal: Refusal::Port, .. }), "{error}");
}

#[test]
fn redirects_that_are_not_followed_say_why() {
    let to = |location: &str| failed(redirected("https://a.example/", "8.8.8.8", location, "8.8.8.8"));
    assert!(matches!(to("http://a.example/"), FetchError::Downgrade { url } if url == "http://a.example/"));
    assert_eq!(to("magnet:?xt=urn:btih:00"), FetchError::Magnet("magnet:?xt=urn:btih:00".into()));
    assert!(to("file:///etc/passwd").to_string().contains("file:///etc/passwd"));
    assert!(matches!(to("udp://a.example:1/"), FetchError::BadLocation { error: UrlError::Scheme, .. }));
    // A name that could pass for another is the server's word here.
    assert!(matches!(to("https://bücher.example/"), FetchError::BadLocation { error: UrlError::Idna, .. }));
    assert!(!to("nonsense:\u{1b}[2J").to_string().contains('\u{1b}'));
    let (mut fetch, _) = begin("http://8.8.8.8/");
    assert_eq!(failed(fetch.done(NOW, answer(302, None))), FetchError::NoLocation);
}

#[test]
fn redirects_are_counted() {
    let (mut fetch, _) = begin("http://8.8.8.8/0");
    for hop in 1..=5 {
        let step = fetch.done(NOW, answer(302, Some(&format!("/{hop}"))));
        assert_eq!(to(&step).path, format!("/{hop}"));
    }
    assert_eq!(failed(fetch.done(NOW, answer(302, Some("/6")))), FetchError::TooManyRedirects);
}

#[test]
fn other_answers_are_failures_with_their_status() {
    for status in [204, 304, 404, 503] {
        let (mut fetch, _) = begin("http://8.8.8.8/");
        let error = failed(fetch.done(NOW, answer(status, Some("/elsewhere"))));
        assert_eq!(error, FetchError::Status { status, retry_after: Some(7) });
    }
}

#[test]
fn time_is_limited_in_all() {
    let (mut fetch, _) = begin("http://8.8.8.8/");
    let step = fetch.done(NOW + Duration::from_secs(119), answer(302, Some("/slow")));
    assert_eq!(to(&step).time_limit, Duration::from_secs(1));
    let error = failed(fetch.done(NOW + Duration::from_secs(120), answer(302, Some("/slow"))));
    assert_eq!(error, FetchError::TimedOut);
}

#[test]
fn addresses_are_limited() {
    let (mut fetch, _) = begin("http://a.example/");
    let many: Vec<IpAddr> = (1..100).map(|n| IpAddr::from([8, 8, 8, n])).collect();
    let mut step = fetch.done(NOW, Ok(JobResult::Resolved(many)));
    let mut asked = vec![];
    while let FetchStep::Work(Work::Http(request)) = &step {
        asked.push(request.to.ip());
        step = fetch.done(NOW, Err(IoFault::Refused));
    }
    assert_eq!(asked, (1..=6).map(|n| IpAddr::from([8, 8, 8, n])).collect::<Vec<_>>());
}

#[test]
fn a_result_of_other_work_is_no_answer() {
    let (mut fetch, _) = begin("http://a.example/");
    assert_eq!(failed(fetch.done(NOW, answer(200, None))), FetchError::WrongResult);
    let (mut fetch, _) = begin("http://8.8.8.8/");
    assert_eq!(failed(fetch.done(NOW, ips(&["8.8.8.8"]))), FetchError::WrongResult);
}
