// Package bill says what an action did, or would do, in requests, bytes and
// dollars: it stands between what a storage has counted and what the price book
// prices. It makes no request, and guesses no price.
package bill
