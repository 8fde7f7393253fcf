//! What goes how fast and to whom: rate limits, choking, super seeding, and who is blamed for bad data.

mod traffic {
    mod blame;
    mod choking;
    mod limits;
    mod super_seeding;
}
