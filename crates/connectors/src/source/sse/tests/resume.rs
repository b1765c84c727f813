//! Every event comes once, wherever the connection is cut and the process is killed, as far as the feed allows it.

use lakehead_model::Timestamp;
use lakehead_testkit::{Act, Upstream, conformance};
use serde_json::json;

use super::{
    super::Sse,
    world::{Gives, STREAM, Shop, World, last_event_id, none, run},
};

const SHOP: Shop = Shop { count: 4, has_ids: true, line_end: "\n", gives: Gives::After };

/// The upstream of a shop whose answers are whole, and whose feed then stays open.
async fn open_shop(shop: Shop) -> Upstream {
    Upstream::start(move |_, head| vec![Act::stream(), Act::send(shop.answer(head)), Act::Hang]).await
}

#[test]
fn keeps_the_source_contract_by_ids() {
    run(async {
        let shop = Shop { count: 40, ..SHOP };
        let upstream = open_shop(shop).await;
        let url = World::new(&upstream.url("/feed"), &none()).settings;
        let expected: Vec<Vec<u8>> = shop.events().into_iter().map(String::into_bytes).collect();
        conformance::source::<Sse, _>(|| async { url.clone() }, Timestamp(0), &expected).await;
    });
}

#[test]
fn keeps_the_source_contract_by_identity_where_there_are_no_ids() {
    run(async {
        let shop = Shop { count: 40, has_ids: false, ..SHOP };
        let upstream = open_shop(shop).await;
        let url = World::new(&upstream.url("/feed"), &json!({ "identity": "event_id" })).settings;
        let expected: Vec<Vec<u8>> = shop.events().into_iter().map(String::into_bytes).collect();
        conformance::source::<Sse, _>(|| async { url.clone() }, Timestamp(0), &expected).await;
    });
}

#[test]
fn keeps_the_source_contract_where_the_feed_ends_with_204() {
    run(async {
        let shop = Shop { count: 40, ..SHOP };
        let upstream = Upstream::start(move |_, head| match shop.answer(head).as_str() {
            "" => vec![Act::send("HTTP/1.1 204 No Content\r\n\r\n")],
            more => vec![Act::stream(), Act::send(more)],
        })
        .await;
        let url = World::new(&upstream.url("/feed"), &none()).settings;
        let expected: Vec<Vec<u8>> = shop.events().into_iter().map(String::into_bytes).collect();
        conformance::source_that_ends::<Sse, _>(|| async { url.clone() }, Timestamp(0), &expected).await;
    });
}

/// The first connection is cut after each number of bytes in turn, the second a little later, the rest are whole.
async fn cut_everywhere(shop: Shop, settings: serde_json::Value, reset: bool, kills: bool) {
    let whole = shop.answer("").len();
    for cut in 0..=whole {
        let upstream = Upstream::start(move |n, head| {
            let text = shop.answer(head);
            // The source waits after a second short connection, and not where it was opened anew.
            let is_cut = n == 0 || n == 1 && kills;
            let bytes = match n {
                0 => &text.as_bytes()[..cut],
                1 if is_cut => &text.as_bytes()[..text.len().min(cut / 2 + 17)],
                _ => text.as_bytes(),
            };
            let end = match (is_cut, reset) {
                (true, false) => Vec::new(),
                (true, true) => vec![Act::Reset],
                (false, _) => vec![Act::Hang],
            };
            [vec![Act::send(STREAM), Act::send(bytes)], end].concat()
        })
        .await;
        let mut world = World::new(&upstream.url("/feed"), &settings);
        world.run(shop.count, kills).await;
        assert_eq!(world.events(), shop.events(), "cut after {cut} of {whole} bytes: {shop:?}, kills: {kills}");
        assert!(world.rejects.is_empty(), "{:?}", world.rejects);
    }
}

#[test]
fn a_cut_at_any_byte_loses_nothing_and_doubles_nothing_whatever_the_feed_gives_again() {
    for gives in [Gives::After, Gives::From, Gives::Earlier(4), Gives::All] {
        for kills in [false, true] {
            run(cut_everywhere(Shop { gives, ..SHOP }, none(), false, kills));
        }
    }
}

#[test]
fn a_cut_at_any_byte_of_a_feed_without_ids_is_made_good_by_the_identity() {
    let shop = Shop { has_ids: false, ..SHOP };
    for kills in [false, true] {
        run(cut_everywhere(shop, json!({ "identity": ["event_id"] }), false, kills));
    }
    run(cut_everywhere(Shop { gives: Gives::All, ..SHOP }, json!({ "identity": "event_id" }), false, true));
}

#[test]
fn a_cut_at_any_byte_is_the_same_with_every_line_end_and_by_a_reset() {
    for line_end in ["\r\n", "\r"] {
        run(cut_everywhere(Shop { line_end, ..SHOP }, none(), false, true));
    }
    run(cut_everywhere(SHOP, none(), true, true));
}

#[test]
fn a_feed_that_gives_much_again_is_learned_for_the_next_start() {
    run(async {
        // 200 are given again: more than a cursor has of a feed that never did so.
        let shop = Shop { count: 300, gives: Gives::Earlier(200), ..SHOP };
        let upstream = Upstream::start(move |n, head| {
            let text = shop.answer(head);
            let first = (1..=250).map(|n| shop.frame(n)).collect::<String>();
            match n {
                0 => vec![Act::stream(), Act::send(first)],
                _ => vec![Act::stream(), Act::send(text), Act::Hang],
            }
        })
        .await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        world.run(300, false).await;
        assert_eq!((world.events(), world.duplicates), (shop.events(), 200));
        let asked = upstream.requests().len();
        // Opened anew, from the cursor alone: the 200 come, and are known.
        let mut source = world.open().await.expect("it opens");
        while world.duplicates < 400 {
            world.commit(lakehead_connector_api::Reader::next(&mut source).await.expect("no error").expect("no end"));
        }
        assert_eq!((world.events(), upstream.requests().len()), (shop.events(), asked + 1));
    });
}

#[test]
fn what_other_sources_brought_into_the_stream_is_no_hindrance() {
    run(async {
        let shop = Shop { has_ids: false, ..SHOP };
        let upstream = open_shop(shop).await;
        let mut world = World::new(&upstream.url("/feed"), &json!({ "identity": "event_id" }));
        world.log.commit([b"7".as_slice(), b"{\"event_id\":null}", b"[]", Shop::event(3).as_bytes()]);
        world.run(4 + 3, false).await;
        let expected: Vec<String> = shop.events().into_iter().filter(|event| *event != Shop::event(3)).collect();
        assert_eq!((&world.events()[4..], world.duplicates), (&expected[..], 1));
    });
}

#[test]
fn the_beginning_is_set_by_start_after_and_only_the_first_time() {
    run(async {
        let upstream = open_shop(SHOP).await;
        let mut world = World::new(&upstream.url("/feed"), &json!({ "start_after": "ü2" }));
        world.run(2, false).await;
        assert_eq!(world.events(), [Shop::event(3), Shop::event(4)]);
        let mut source = world.open().await.expect("it opens");
        let first = lakehead_connector_api::Reader::next(&mut source).await.expect("no error").expect("no end");
        assert!(first.events.is_empty() && first.cursor.is_none(), "only that it is connected");
        assert_eq!(last_event_id(&upstream.requests()[1]), Some("ü4"));
    });
}

#[test]
fn without_ids_and_identity_everything_that_comes_is_taken() {
    run(async {
        let shop = Shop { has_ids: false, ..SHOP };
        let upstream = Upstream::start(move |n, head| {
            let end = if n == 0 { Vec::new() } else { vec![Act::Hang] };
            [vec![Act::stream(), Act::send(shop.answer(head))], end].concat()
        })
        .await;
        let mut world = World::new(&upstream.url("/feed"), &none());
        world.run(8, false).await;
        assert_eq!((world.events(), world.duplicates), ([shop.events(), shop.events()].concat(), 0));
        assert_eq!(upstream.requests().iter().filter_map(|head| last_event_id(head)).count(), 0);
    });
}
