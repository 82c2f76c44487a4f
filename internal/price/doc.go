// Package price knows what a provider charges and what an action costs by
// it: a book of prices by provider, region and storage class, usage as the bill
// counts it, and plans such as of a thaw. It is pure: the book lies in the binary,
// and whoever has another one hands it in.
//
// All sums are exact. GB means GiB, as on the bill of AWS, and a month has
// HoursPerMonth hours, as in its calculator. A bill divides by the hours of its own month:
// a day of a February costs 9% more than here, one of a long month 2% less, a
// whole month the same. STANDARD is priced as the first 50 TB of a month are.
package price
