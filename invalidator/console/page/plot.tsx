import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'

/** One line of a plot. */
export interface Line {
  readonly label: string
  /** Name of a colour of the style sheet. */
  readonly colour: string
  readonly values: readonly (number | null)[]
}

interface PlotProps {
  readonly title: string
  /** Times in ms. */
  readonly times: readonly number[]
  readonly lines: readonly Line[]
  readonly format: (value: number | null) => string
}

const HEIGHT = 132
const AXIS_WIDTH = 62
const LONGEST_S = 900
const SHORTEST_S = 120

/** A plot of the last 15 minutes, with the present values as text. */
export function Plot({ title, times, lines, format }: PlotProps) {
  const target = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(undefined)
  const data: UPlot.AlignedData = [
    times.map((ms) => ms / 1000),
    ...lines.map(({ values }) => [...values]),
  ]

  useEffect(() => {
    const element = target.current
    if (element === null) return undefined
    const draw = () => {
      plot.current?.destroy()
      plot.current = new UPlot(optionsOf(element, lines, format), data, element)
    }
    draw()
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    )
    resized.observe(element)
    // Colours are drawn on a canvas, so another theme needs another drawing.
    const theme = matchMedia('(prefers-color-scheme: dark)')
    theme.addEventListener('change', draw)
    return () => {
      resized.disconnect()
      theme.removeEventListener('change', draw)
      plot.current?.destroy()
      plot.current = undefined
    }
  }, [])
  useEffect(() => plot.current?.setData(data), [times])

  const now = lines.map(({ label, values }) => `${label} ${format(values.at(-1) ?? null)}`)
  return (
    <figure class="card plot">
      <figcaption>
        <span class="plot-title">{title}</span>
        <span class="legend">
          {lines.map(({ label, colour, values }) => (
            <span key={label} class={`key ${colour}`}>
              {label} <b>{format(values.at(-1) ?? null)}</b>
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={target} class="canvas" role="img" aria-label={`${title}: ${now.join(', ')}`} />
    </figure>
  )
}

function optionsOf(
  element: HTMLElement,
  lines: readonly Line[],
  format: PlotProps['format'],
): UPlot.Options {
  const style = getComputedStyle(element)
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const axis = {
    stroke: colour('quiet'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: colour('line'), width: 1 },
    ticks: { show: false },
  }
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { range: (_plot, first) => rangeOf(first) },
      y: { range: (_plot, _min, max) => [0, max === null || max <= 0 ? 1 : max * 1.15] },
    },
    axes: [
      { ...axis, grid: { show: false }, values: minutesAgo, incrs: [60, 300], size: 24 },
      { ...axis, size: AXIS_WIDTH, space: 34, values: (_plot, ticks) => ticks.map(format) },
    ],
    series: [
      {},
      ...lines.map((line): UPlot.Series => ({
        stroke: colour(line.colour),
        width: 1.75,
        points: { show: false },
        spanGaps: false,
      })),
    ],
  }
}

/** The last 15 minutes, or the time since the first point if that is shorter; at least 2 minutes. */
function rangeOf(firstS: number | null): [number, number] {
  const nowS = Date.now() / 1000
  return [Math.max(nowS - LONGEST_S, Math.min(firstS ?? nowS, nowS - SHORTEST_S)), nowS]
}

const minutesAgo = (_plot: UPlot, ticks: readonly number[]): string[] =>
  ticks.map((s) => new Date(s * 1000).toTimeString().slice(0, 5))
