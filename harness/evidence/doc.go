// Package evidence is the record of a run: what each spec found, the commands
// and probes behind it, and the files that prove it. Everything is redacted on
// the way in and written as it goes.
//
// A run's folder is runs/<time>-<site>/. The report is made from it and from
// nothing else.
//
//	run.json                  the head: site, seed, facts, waivers
//	records/firewall-71.jsonl what became of each spec, a file a process
//	firewall/0042/            the evidence of one spec:
//	    flows.json            its probes
//	    commands.jsonl        what its nodes ran
//	    …                     rules, routes, wg, conntrack, captures, journals
//
// Conclude, a pure function of all this, says what the run comes to. A secret
// is redacted by its value, which the driver tells [Redactor], and by its
// shape; half a secret at a cut is one too.
package evidence
