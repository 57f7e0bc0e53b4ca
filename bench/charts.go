package main

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// drawRatios draws a scenario's ratios, a line a case and a mark a peer, on a
// logarithmic axis. It returns the file's name below dir, empty without rows.
func drawRatios(dir, scenario string, rows []Row) (string, error) {
	var cases, peers []string
	for _, r := range rows {
		if !(r.Ratio > 0) {
			continue
		}
		if !slices.Contains(cases, r.Case) {
			cases = append(cases, r.Case)
		}
		if !slices.Contains(peers, r.Peer) {
			peers = append(peers, r.Peer)
		}
	}
	if len(cases) == 0 {
		return "", nil
	}
	slices.Reverse(cases) // the axis grows upwards
	p := newPlot(scenario+": times better than the peer, same run", "ratio, above 1 Sluice is ahead", "")
	labels := make([]string, len(cases))
	for i, c := range cases {
		labels[i] = " " + c // the longest would touch the edge
	}
	p.NominalY(labels...)
	for i, peer := range peers {
		var points plotter.XYs
		for _, r := range rows {
			if r.Peer == peer && r.Ratio > 0 {
				points = append(points, plotter.XY{X: r.Ratio, Y: float64(slices.Index(cases, r.Case))})
			}
		}
		marks, err := plotter.NewScatter(points)
		if err != nil {
			return "", err
		}
		marks.GlyphStyle = mark(i)
		p.Add(marks)
		p.Legend.Add(peer, marks)
	}
	low, high := logRange(rows)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = low, high, -0.5, float64(len(cases))-0.5
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ratioTicks{}
	even, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.5}, {X: 1, Y: float64(len(cases)) - 0.5}})
	if err != nil {
		return "", err
	}
	even.Color = color.Gray{100}
	p.Add(even)
	name := "ratios-" + scenario + ".png"
	height := vg.Points(110 + 16*float64(len(cases)) + 5*float64(len(peers)))
	return name, p.Save(9*vg.Inch, height, filepath.Join(dir, name))
}

// drawHistory draws the geometric mean of a scenario's ratios for each peer,
// over the cases that every version with the peer has, so that the mean of a
// version with more cases is of the same ones. It returns an empty name when
// no peer is in two results.
func drawHistory(dir, scenario string, all []Result) (string, error) {
	versions := make([]string, len(all))
	var peers []string
	for i, res := range all {
		versions[i] = res.Version
		for _, r := range res.Rows {
			if r.Scenario == scenario && r.Ratio > 0 && !slices.Contains(peers, r.Peer) {
				peers = append(peers, r.Peer)
			}
		}
	}
	p := newPlot(scenario+": over versions", "", "geometric mean of the ratios")
	drawn := 0
	for i, peer := range peers {
		points := history(all, scenario, peer)
		if len(points) < 2 {
			continue
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return "", err
		}
		line.Color = mark(i).Color
		marks.GlyphStyle = mark(i)
		p.Add(line, marks)
		p.Legend.Add(peer, line, marks)
		drawn++
	}
	if drawn == 0 {
		return "", nil
	}
	p.NominalX(versions...)
	// The legend is right of the newest version.
	p.X.Min, p.X.Max = -0.15*float64(len(all)-1), 1.3*float64(len(all)-1)
	p.Y.Min = min(p.Y.Min, 0.9)
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, ratioTicks{}
	name := "history-" + scenario + ".png"
	return name, p.Save(9*vg.Inch, 3.2*vg.Inch, filepath.Join(dir, name))
}

// history has a point for each result that measured the peer; X is the index
// of the result.
func history(all []Result, scenario, peer string) (points plotter.XYs) {
	seen := map[string]int{} // results that have the case
	having := 0
	for _, res := range all {
		any := 0
		for _, r := range res.Rows {
			if r.Scenario == scenario && r.Peer == peer && r.Ratio > 0 {
				seen[r.Case]++
				any = 1
			}
		}
		having += any
	}
	for i, res := range all {
		var list []float64
		for _, r := range res.Rows {
			if r.Scenario == scenario && r.Peer == peer && r.Ratio > 0 && seen[r.Case] == having {
				list = append(list, r.Ratio)
			}
		}
		if len(list) > 0 {
			points = append(points, plotter.XY{X: float64(i), Y: geometricMean(list)})
		}
	}
	return points
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.BackgroundColor = color.White
	p.Title.Padding = vg.Points(6)
	p.Legend.Top = true
	p.Legend.Padding = vg.Points(2)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{225}, color.Gray{235}
	p.Add(grid)
	return p
}

// mark tells peers apart in colour and in shape.
func mark(i int) draw.GlyphStyle {
	shapes := []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.CrossGlyph{}, draw.PlusGlyph{}, draw.RingGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}}
	colors := plotutil.DarkColors
	return draw.GlyphStyle{Color: colors[i%len(colors)], Shape: shapes[i%len(shapes)], Radius: vg.Points(3.5)}
}

// logRange spans the ratios and 1, with room on both sides, and more to the
// right, where the legend is.
func logRange(rows []Row) (low, high float64) {
	low, high = 1, 1
	for _, r := range rows {
		if r.Ratio > 0 {
			low, high = min(low, r.Ratio), max(high, r.Ratio)
		}
	}
	room := math.Pow(high/low, 0.05)
	return low / room / 1.1, high * math.Pow(high/low, 0.25) * 1.2
}

// ratioTicks labels 1, 2 and 5 of each decade.
type ratioTicks struct{}

func (ratioTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for m := 1; m <= 9; m++ {
			v := float64(m) * math.Pow(10, e)
			if v < low || v > high {
				continue
			}
			t := plot.Tick{Value: v}
			if m == 1 || m == 2 || m == 5 {
				t.Label = fmt.Sprintf("%gx", math.Round(v*1e6)/1e6)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}
