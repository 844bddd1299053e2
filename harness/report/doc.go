// Package report turns a run's folder into what people and machines read:
// report.html, report.json, junit.xml and the summary on the terminal.
//
//	run.json, records/*.jsonl, <suite>/<number>/  --Load-->  Report  --Write-->  report.html, report.json, junit.xml
//
// It knows nothing that is not in the folder, so the report of an aborted run
// is as good as what was kept, and it can be made again at any time.
package report
