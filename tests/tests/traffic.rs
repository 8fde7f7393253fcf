//! What goes how fast and to whom: rate limits, choking, super seeding, suggestions, who has a place, and who is blamed for bad data.

mod traffic {
    mod blame;
    mod choking;
    mod limits;
    mod places;
    mod suggesting;
    mod super_seeding;
}
