// Package topology is the site: its model, how it is loaded and checked, and
// what a running site (a [Lab]) offers to those who ask it questions.
//
// It knows no driver, no Ginkgo and no Gomega. Loading needs no privileges and
// has no side effects; every problem of a site is reported at once.
//
//	site.yaml + nodes/<node>/…  --Load-->  Site  --driver-->  Lab
//
// document.go has the keys of site.yaml, from which [Schema] is made as well;
// networks.go, nodes.go, promises.go and waivers.go turn them into a [Site].
// files.go goes through the nodes' folders, and links.go, modes.go, units.go,
// secrets.go, placeholders.go and wireguard.go say what each file must be like.
package topology
