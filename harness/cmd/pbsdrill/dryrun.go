package main

import "context"

func (a *app) dryRun(context.Context, drill) error { return nil }
