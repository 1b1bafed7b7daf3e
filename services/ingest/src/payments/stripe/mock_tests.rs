//! Our requests against Stripe's own mock server, which checks them by Stripe's description of the API: paths, members,
//! types, the version. It keeps nothing and declines nothing; those are tests over recorded answers.
