import { Component, type ComponentType, h } from 'preact'

/** Returns a component that renders again only if a property has changed. */
export function memo<P extends object>(Inner: ComponentType<P>): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      const before = this.props as Readonly<Record<string, unknown>>
      return Object.entries(next).some(([name, value]) => before[name] !== value)
    }

    render() {
      return h(Inner, this.props as P)
    }
  }
}
