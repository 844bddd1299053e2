// Package topology is the site: its model, how it is loaded and checked, and
// what a running site (a [Lab]) offers to those who ask it questions.
//
// It knows no driver, no Ginkgo and no Gomega. Loading needs no privileges and
// has no side effects; every problem of a site is reported at once.
//
//	site.yaml + nodes/<node>/…  --Load-->  Site  --driver-->  Lab
package topology
