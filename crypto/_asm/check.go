package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
)

// Whether the upper halves of the vector registers may be dirty, the worst
// last. A caller in Go is not trusted with them.
const (
	upperUnknown = iota
	upperClean
	upperForeign // by who called
	upperDirty   // by this function
)

// upperHalves fails for a function that uses legacy SSE where upper halves may
// be dirty, which costs hundreds of cycles on some processors, or that returns
// with them dirty, so that Go's own code pays. A test of the package looks at
// the files in the same way.
func upperHalves(f *ir.Function) error {
	worst := map[*ir.Instruction]int{}
	type visit struct {
		at    *ir.Instruction
		state int
	}
	all := f.Instructions()
	for work := []visit{{all[0], upperForeign}}; len(work) > 0; {
		v := work[len(work)-1]
		work = work[:len(work)-1]
		if worst[v.at] >= v.state {
			continue
		}
		worst[v.at] = v.state
		for _, next := range v.at.Succ {
			if next != nil {
				work = append(work, visit{next, after(v.at, v.state)})
			}
		}
	}
	for _, i := range all {
		switch {
		case worst[i] > upperClean && vectorBits(i) > 0 && !strings.HasPrefix(i.Opcode, "V"):
			return fmt.Errorf("%s: %s beside upper halves that may be dirty", f.Name, i.Opcode)
		case worst[i] == upperDirty && i.IsTerminal:
			return fmt.Errorf("%s returns without VZEROUPPER", f.Name)
		}
	}
	return nil
}

// after is the state that an instruction leaves.
func after(i *ir.Instruction, state int) int {
	switch {
	case i.Opcode == "VZEROUPPER":
		return upperClean
	case vectorBits(i) > 128:
		return upperDirty
	}
	return state
}

// vectorBits is the width of the widest vector register among the operands.
func vectorBits(i *ir.Instruction) (bits uint) {
	for _, op := range i.Operands {
		if r, ok := op.(reg.Register); ok && operand.IsRegister(op) && r.Kind() == reg.KindVector {
			bits = max(bits, 8*r.Size())
		}
	}
	return bits
}

// checked adds the check to what avo does before it prints. Its last steps drop
// the graph of branches, which is made anew.
func checked() {
	pass.Compile = pass.Concat(pass.Compile, pass.FunctionPass(pass.LabelTarget), pass.FunctionPass(pass.CFG), pass.FunctionPass(upperHalves))
}
