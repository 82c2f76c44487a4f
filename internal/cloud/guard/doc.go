// Package guard reads what an update of a CloudFormation stack would do as a
// person needs to know it: what is added, changed, replaced and removed, which
// data goes with that, why, and how to avoid it. It judges twice: by what
// CloudFormation says in a change set, and by comparing the deployed template
// with the new one. The worse of both counts. A plan that would lose data is
// not carried out before somebody has typed the name of each thing that is lost.
package guard
